//! `POST /api/v1/cache/clear`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::cache::{CacheOwner, Invalidation};
use turnpike_shared::errors::Problem;

use crate::App;

/// Clear the own cache
///
/// Ends all of the caller's own entries, everywhere at once. What is shared with others stays.
#[utoipa::path(
    post, path = "/api/v1/cache/clear", operation_id = "clearCache", tag = "Cache",
    responses((status = 204, description = "Nothing of the caller is cached")),
    security(("access_token" = ["cache:write"]), ("api_key" = ["cache:write"])),
)]
pub(crate) async fn clear(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let owner = CacheOwner::User(caller.id());
    let everything = Invalidation::everything();
    app.cache().invalidate(&owner, &everything).await?;
    Ok(StatusCode::NO_CONTENT)
}
