//! `DELETE /api/v1/auth/sessions/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::auth::SessionEnd;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::SessionId;
use turnpike_shared::web::{ApiPath, SignedInCaller};

use crate::App;

/// End a session
///
/// Ends one of the caller's sessions; its tokens stop working at once.
#[utoipa::path(
    delete, path = "/api/v1/auth/sessions/{id}", operation_id = "endSession", tag = "Accounts",
    params(("id" = String, Path, description = "The session", example = "ses_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 204, description = "The session has ended")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = [])),
)]
pub(crate) async fn end(
    State(app): State<App>,
    caller: SignedInCaller,
    ApiPath(id): ApiPath<SessionId>,
) -> Result<StatusCode, Problem> {
    let (how, now) = (SessionEnd::EndedFrom(caller.session), app.clock().now());
    let ended = app.accounts().end_session(caller.user, id, how, now);
    let was_live = app.admission().changing(caller.user, ended).await?;
    if was_live {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}
