//! `POST /api/v1/auth/logout`: the end of this session.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::errors::Problem;

use crate::App;
use crate::caller::Caller;

/// Sign out
///
/// Ends the session; its tokens stop working at once.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", operation_id = "logout", tag = "Accounts",
    responses((status = 204, description = "The session has ended")),
    security(("access_token" = [])),
)]
pub(crate) async fn logout(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    app.accounts()
        .end_session(caller.user.id, caller.session.id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
