//! `PATCH /api/v1/users/api-keys/{id}`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::api_key::fields::{self, RequestedLimits};
use turnpike_shared::auth::{CidrList, KeyChange, KeyLimits, ScopeSet};
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::KeyId;
use turnpike_shared::web::{ApiJson, ApiPath};
use utoipa::ToSchema;

use super::ApiKeyBody;
use crate::App;
use crate::fields::{Errors, given};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyChangeRequest {
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "CI")]
    name: Option<String>,
    /// Replaces all of the key's scopes.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, value_type = ScopeSet)]
    scopes: Option<Vec<String>>,
    /// Replaces the whole list; an empty one means from everywhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, value_type = CidrList)]
    allowed_cidrs: Option<Vec<String>>,
    /// Replaces all of the key's own limits; null takes them away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RequestedLimits>)]
    #[expect(
        clippy::option_option,
        reason = "left out, null and a value are three things that a client can say"
    )]
    limits: Option<Option<RequestedLimits>>,
}

impl ApiKeyChangeRequest {
    fn parse(self) -> Result<KeyChange, Problem> {
        let mut errors = Errors::default();
        let name = self.name.map(|name| fields::name(&name)).transpose();
        let name = errors.one(name);
        let scopes = self.scopes.map(|words| fields::scopes(&words)).transpose();
        let scopes = errors.all(scopes);
        let cidrs = self
            .allowed_cidrs
            .map(|texts| fields::allowed_cidrs(&texts));
        let allowed_cidrs = errors.all(cidrs.transpose());
        let limits = self.limits.map(|limits| match limits {
            Some(limits) => fields::limits(limits),
            None => Ok(KeyLimits::NONE),
        });
        let limits = errors.all(limits.transpose());
        match (name, scopes, allowed_cidrs, limits) {
            (Some(name), Some(scopes), Some(allowed_cidrs), Some(limits)) => Ok(KeyChange {
                name,
                scopes,
                allowed_cidrs,
                limits,
            }),
            _ => Err(errors.into_problem()),
        }
    }
}

/// Change an API key
///
/// Changes what is given and leaves the rest. The next request with the key meets it so.
#[utoipa::path(
    patch, path = "/api/v1/users/api-keys/{id}", operation_id = "changeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "key_019a9f3c1c2a7d3e8f00112233445566")),
    request_body = ApiKeyChangeRequest,
    responses((status = 200, description = "The key as it is now", body = ApiKeyBody)),
    extensions(("x-problems" = json!(["not-found", "key-revoked", "too-many-keys", "scope-not-held", "beyond-own-key"]))),
    security(("access_token" = ["keys:write"]), ("api_key" = ["keys:write"])),
)]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<KeyId>,
    ApiJson(request): ApiJson<ApiKeyChangeRequest>,
) -> Result<Json<ApiKeyBody>, Problem> {
    let change = request.parse()?;
    let now = app.now();
    let changed = app.change_keys(&caller, now, |ring, manager| {
        ring.change(id, &change, manager, now)
    });
    Ok(Json(ApiKeyBody::new(&changed.await?.outcome, now)))
}
