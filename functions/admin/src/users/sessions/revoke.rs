//! `POST /api/v1/admin/users/{id}/sessions/revoke`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::UserId;
use turnpike_shared::web::ApiPath;

use crate::App;
use crate::users::changed_by;

/// End a user's sessions
///
/// Ends every session of the user at once, on every instance. API keys stay.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{id}/sessions/revoke", operation_id = "revokeSessions", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 204, description = "No session is left")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<StatusCode, Problem> {
    let revoked = app
        .users()
        .revoke_sessions(id, changed_by(&caller), app.now());
    app.administer(id, revoked).await?;
    Ok(StatusCode::NO_CONTENT)
}
