//! `POST /api/v1/auth/logout-all`: the end of every session.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::errors::Problem;

use crate::App;
use crate::caller::Caller;

/// Sign out everywhere
///
/// Ends every session of the user, this one included; their tokens stop working at once.
#[utoipa::path(
    post, path = "/api/v1/auth/logout-all", operation_id = "logoutAll", tag = "Accounts",
    responses((status = 204, description = "Every session has ended")),
    security(("access_token" = [])),
)]
pub(crate) async fn logout_all(
    State(app): State<App>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    app.accounts()
        .end_all_sessions(caller.user.id, app.clock().now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
