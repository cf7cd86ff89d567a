//! `PUT /api/v1/preferences`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::ApiJson;

use super::{PreferencesBody, PreferencesRequest};
use crate::App;

/// Replace the own preferences
///
/// Every field is replaced. Who has no preferences yet sets them with POST.
#[utoipa::path(
    put, path = "/api/v1/preferences", operation_id = "replacePreferences", tag = "Content",
    request_body = PreferencesRequest,
    responses((status = 200, description = "The preferences as they are now", body = PreferencesBody)),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["preferences:write"]), ("api_key" = ["preferences:write"])),
)]
pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    ApiJson(request): ApiJson<PreferencesRequest>,
) -> Result<Json<PreferencesBody>, Problem> {
    let preferences = request.parse()?;
    let replaced = app.preferences();
    let replaced = replaced.replace(caller.id(), &preferences, app.now());
    let kept = replaced.await?.ok_or_else(Problem::not_found)?;
    Ok(Json(kept.into()))
}
