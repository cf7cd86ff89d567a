//! `POST /api/v1/cache/invalidate`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::cache::CacheOwner;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiJson, InvalidationRequest};

use crate::App;

/// Invalidate own entries
///
/// Ends what carries one of the tags, and what lies under the prefix, among the caller's own entries:
/// the next request anywhere is computed anew. Without either it ends all of them. What is shared with
/// others stays.
#[utoipa::path(
    post, path = "/api/v1/cache/invalidate", operation_id = "invalidateCache", tag = "Cache",
    request_body = InvalidationRequest,
    responses((status = 204, description = "They are ended")),
    security(("access_token" = ["cache:write"]), ("api_key" = ["cache:write"])),
)]
pub(crate) async fn invalidate(
    State(app): State<App>,
    caller: Caller,
    ApiJson(request): ApiJson<InvalidationRequest>,
) -> Result<StatusCode, Problem> {
    let (owner, what) = (CacheOwner::User(caller.id()), request.parse()?);
    app.cache().invalidate(&owner, &what).await?;
    Ok(StatusCode::NO_CONTENT)
}
