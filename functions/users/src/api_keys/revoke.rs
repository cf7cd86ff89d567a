//! `DELETE /api/v1/users/api-keys/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::KeyId;
use turnpike_shared::web::ApiPath;

use crate::App;

/// Revoke an API key
///
/// The key stops working at once, on every instance, and so do the keys that it made. Revoking it
/// once more is no mistake.
#[utoipa::path(
    delete, path = "/api/v1/users/api-keys/{id}", operation_id = "revokeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "key_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 204, description = "The key is revoked")),
    extensions(("x-problems" = json!(["not-found", "scope-not-held", "beyond-own-key"]))),
    security(("access_token" = ["keys:write"]), ("api_key" = ["keys:write"])),
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<KeyId>,
) -> Result<StatusCode, Problem> {
    let now = app.now();
    let revoked = app.change_keys(&caller, now, |ring, manager| ring.revoke(id, manager, now));
    revoked.await.map(|_| StatusCode::NO_CONTENT)
}
