//! `POST /api/v1/auth/logout-all`: the end of every session.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::SignedInCaller;

use crate::App;

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
    caller: SignedInCaller,
) -> Result<StatusCode, Problem> {
    let now = app.clock().now();
    let ended = app.accounts().end_all_sessions(caller.user, now);
    app.admission().changing(caller.user, ended).await?;
    Ok(StatusCode::NO_CONTENT)
}
