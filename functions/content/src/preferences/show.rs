//! `GET /api/v1/preferences`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;

use super::PreferencesBody;
use crate::App;

/// Show the own preferences
///
/// As they were made or replaced last; a user who never made any has none.
#[utoipa::path(
    get, path = "/api/v1/preferences", operation_id = "showPreferences", tag = "Content",
    responses((status = 200, description = "The caller's preferences", body = PreferencesBody)),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["preferences:read"]), ("api_key" = ["preferences:read"])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<PreferencesBody>, Problem> {
    let kept = app.preferences().get(caller.id(), app.now()).await?;
    let kept = kept.ok_or_else(Problem::not_found)?;
    Ok(Json(kept.into()))
}
