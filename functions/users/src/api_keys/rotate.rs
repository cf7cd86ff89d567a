//! `POST /api/v1/users/api-keys/{id}/rotate`.

use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::NewKey;
use turnpike_shared::auth::api_key::fields;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::KeyId;
use turnpike_shared::web::{Answer, AnswerKeeper, ApiJson, ApiPath};
use utoipa::ToSchema;

use super::NewApiKeyBody;
use crate::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationRequest {
    /// How long the old key goes on working beside the new one.
    #[schema(minimum = 0, maximum = 86_400, default = 0)]
    overlap_seconds: Option<i64>,
}

/// Rotate an API key
///
/// Makes a new key with the same name, scopes, networks, limits and expiry. The old one lives
/// through the overlap; until then a key with limits of its own and its successor share them. A
/// key is rotated once.
#[utoipa::path(
    post, path = "/api/v1/users/api-keys/{id}/rotate", operation_id = "rotateApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "key_019a9f3c1c2a7d3e8f00112233445566")),
    request_body = RotationRequest,
    responses((status = 201, description = "The new key", body = NewApiKeyBody)),
    extensions(("x-problems" = json!(["not-found", "key-revoked", "key-rotated", "too-many-keys", "scope-not-held", "beyond-own-key", "idempotency-answer-gone"]))),
    security(("access_token" = ["keys:write"]), ("api_key" = ["keys:write"])),
)]
pub(crate) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    keeper: AnswerKeeper,
    ApiPath(id): ApiPath<KeyId>,
    ApiJson(request): ApiJson<RotationRequest>,
) -> Result<Answer, Problem> {
    let overlap = fields::overlap_seconds(request.overlap_seconds.unwrap_or(0));
    let overlap = overlap.map_err(|error| Problem::validation(vec![error]))?;
    let now = app.now();
    let key = app.new_key();
    let new = NewKey::of(&key, now);
    let rotated = app.make_key(&caller, &keeper, &key, now, |ring, manager| {
        ring.rotate(id, &new, overlap, manager, now)
    });
    rotated.await
}
