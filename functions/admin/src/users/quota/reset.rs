//! `POST /api/v1/admin/users/{id}/quota/reset`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::UserId;
use turnpike_shared::web::ApiPath;

use crate::App;
use crate::app::done;
use crate::users::changed_by;

/// Reset a user's limits
///
/// Clears everything that counts against the user's limits: the tier's hour, day and month, the
/// classes', and those of the user's keys. The next request counts as the first. What was admitted
/// in this month stays charged.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{id}/quota/reset", operation_id = "resetQuota", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 204, description = "Nothing is used")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn reset(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<StatusCode, Problem> {
    let (by, now) = (changed_by(&caller), app.now());
    let reset = app.users().reset_quota(id, by, now);
    done(app.admission().resetting(id, reset).await?)?;
    Ok(StatusCode::NO_CONTENT)
}
