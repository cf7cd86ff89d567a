//! `DELETE /api/v1/preferences`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;

use crate::App;

/// Remove the own preferences
///
/// New ones can be made afterwards.
#[utoipa::path(
    delete, path = "/api/v1/preferences", operation_id = "deletePreferences", tag = "Content",
    responses((status = 204, description = "There are no preferences any more")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["preferences:write"]), ("api_key" = ["preferences:write"])),
)]
pub(crate) async fn delete(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let there_were_some = app.preferences().delete(caller.id(), app.now()).await?;
    if there_were_some {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}
