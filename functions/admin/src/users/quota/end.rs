//! `DELETE /api/v1/admin/users/{id}/quota`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::UserId;
use turnpike_shared::web::ApiPath;

use crate::App;
use crate::users::changed_by;

/// End the override of a user's limits
///
/// The user's next request meets the tier's limits again. Where there is no override, nothing
/// changes.
#[utoipa::path(
    delete, path = "/api/v1/admin/users/{id}/quota", operation_id = "endQuotaOverride", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 204, description = "There is no override")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn end(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<StatusCode, Problem> {
    let ended = app.users().end_override(id, changed_by(&caller), app.now());
    app.administer(id, ended).await?;
    Ok(StatusCode::NO_CONTENT)
}
