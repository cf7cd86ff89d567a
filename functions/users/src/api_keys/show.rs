//! `GET /api/v1/users/api-keys/{id}`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::KeyId;
use turnpike_shared::web::ApiPath;

use super::ApiKeyBody;
use crate::App;

/// Show an API key
///
/// One of the caller's keys, whether it is live or not.
#[utoipa::path(
    get, path = "/api/v1/users/api-keys/{id}", operation_id = "showApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "key_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 200, description = "The key", body = ApiKeyBody)),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["keys:read"]), ("api_key" = ["keys:read"])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<KeyId>,
) -> Result<Json<ApiKeyBody>, Problem> {
    let key = app.users().api_key(caller.id(), id).await?;
    let key = key.ok_or_else(Problem::not_found)?;
    Ok(Json(ApiKeyBody::new(&key, app.now())))
}
