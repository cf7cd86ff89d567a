//! `POST /api/v1/users/api-keys`.

use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::api_key::fields::{self, RequestedLimits};
use turnpike_shared::auth::{CidrList, KeyDraft, KeyLimits, NewKey, ScopeSet};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{Answer, AnswerKeeper, ApiJson};
use utoipa::ToSchema;

use super::NewApiKeyBody;
use crate::App;
use crate::fields::Errors;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKeyRequest {
    #[schema(min_length = 1, max_length = 100, example = "CI")]
    name: String,
    /// What the key may do; left out, what a user may but for `keys:write`.
    #[schema(value_type = Option<ScopeSet>)]
    scopes: Option<Vec<String>>,
    /// From where it may be used, at most 50 networks; left out or empty, from everywhere.
    #[schema(value_type = Option<CidrList>)]
    allowed_cidrs: Option<Vec<String>>,
    #[schema(format = DateTime, example = "2030-01-01T00:00:00Z")]
    expires_at: Option<String>,
    /// Limits of its own, beside its owner's; at least one of them.
    limits: Option<RequestedLimits>,
}

impl NewApiKeyRequest {
    fn parse(self, now: Timestamp) -> Result<KeyDraft, Problem> {
        let mut errors = Errors::default();
        let name = errors.one(fields::name(&self.name));
        let scopes = self.scopes.map(|words| fields::scopes(&words));
        let scopes = errors.all(scopes.unwrap_or(Ok(ScopeSet::default_of_key())));
        let cidrs = self.allowed_cidrs.unwrap_or_default();
        let allowed_cidrs = errors.all(fields::allowed_cidrs(&cidrs));
        let expiry = self.expires_at.as_deref();
        let expires_at = expiry.map(|text| fields::expires_at(text, now)).transpose();
        let expires_at = errors.one(expires_at);
        let limits = errors.all(self.limits.map_or(Ok(KeyLimits::NONE), fields::limits));
        match (name, scopes, allowed_cidrs, limits, expires_at) {
            (Some(name), Some(scopes), Some(allowed_cidrs), Some(limits), Some(expires_at)) => {
                Ok(KeyDraft {
                    name,
                    scopes,
                    allowed_cidrs,
                    limits,
                    expires_at,
                })
            }
            _ => Err(errors.into_problem()),
        }
    }
}

/// Make an API key
///
/// The key is in this answer and in no other. It may do what its scopes say as far as its owner
/// may, and counts against its owner's limits; its own can only narrow them.
#[utoipa::path(
    post, path = "/api/v1/users/api-keys", operation_id = "createApiKey", tag = "API keys",
    request_body = NewApiKeyRequest,
    responses((status = 201, description = "The key is made", body = NewApiKeyBody)),
    extensions(("x-problems" = json!(["scope-not-held", "beyond-own-key", "too-many-keys", "idempotency-answer-gone"]))),
    security(("access_token" = ["keys:write"]), ("api_key" = ["keys:write"])),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    keeper: AnswerKeeper,
    ApiJson(request): ApiJson<NewApiKeyRequest>,
) -> Result<Answer, Problem> {
    let now = app.now();
    let draft = request.parse(now)?;
    let key = app.new_key();
    let new = NewKey::of(&key, now);
    let made = app.make_key(&caller, &keeper, &key, now, |ring, manager| {
        ring.make(&new, &draft, manager, now)
    });
    made.await
}
