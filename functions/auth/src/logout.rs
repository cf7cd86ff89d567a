//! `POST /api/v1/auth/logout`: the end of this session.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::auth::SessionEnd;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::SignedInCaller;

use crate::App;

/// Sign out
///
/// Ends the session; its tokens stop working at once.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", operation_id = "logout", tag = "Accounts",
    responses((status = 204, description = "The session has ended")),
    security(("access_token" = [])),
)]
pub(crate) async fn logout(
    State(app): State<App>,
    caller: SignedInCaller,
) -> Result<StatusCode, Problem> {
    let (user, session, now) = (caller.user, caller.session, app.clock().now());
    let ended = app
        .accounts()
        .end_session(user, session, SessionEnd::SignedOut, now);
    app.admission().changing(caller.user, ended).await?;
    Ok(StatusCode::NO_CONTENT)
}
