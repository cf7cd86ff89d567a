//! `POST /api/v1/keys/verify`: whether a key that somebody was shown is good for a request.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use turnpike_shared::admission::{Caller, KeyCode, KeyVerdict};
use turnpike_shared::auth::api_key::fields;
use turnpike_shared::auth::{ApiKey, ScopeSet, Tier};
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::ids::{KeyId, UserId};
use turnpike_shared::limits::policy::Policy;
use turnpike_shared::web::{ApiJson, LimitStateObject, problem_of};
use utoipa::ToSchema;

use crate::App;
use crate::fields::{Errors, cost};

/// The class of a request that names none.
const DEFAULT_CLASS: &str = "default";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// The key that somebody was shown.
    #[schema(value_type = String, format = Password, example = "tp_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1ggZdL")]
    key: SecretString,
    /// How much the request counts.
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    cost: Option<i64>,
    /// Scopes that the key must have.
    #[schema(value_type = Option<ScopeSet>)]
    scopes: Option<Vec<String>>,
    /// The policy's class whose limits apply; one that counts users.
    #[schema(example = "query")]
    class: Option<String>,
    /// The address that the key came from. Without it, a key with a list of networks is refused.
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
}

/// A request, understood.
struct Wanted {
    cost: u64,
    scopes: ScopeSet,
    class: String,
    ip: Option<IpAddr>,
}

impl VerifyRequest {
    fn parse(self, policy: &Policy) -> Result<(SecretString, Wanted), Problem> {
        let mut errors = Errors::default();
        let cost = errors.one(cost(self.cost));
        let scopes = errors.all(fields::scopes(&self.scopes.unwrap_or_default()));
        let class = errors.one(class(self.class, policy));
        let ip = errors.one(self.ip.as_deref().map(address).transpose());
        match (cost, scopes, class, ip) {
            (Some(cost), Some(scopes), Some(class), Some(ip)) => {
                let wanted = Wanted {
                    cost,
                    scopes,
                    class,
                    ip,
                };
                Ok((self.key, wanted))
            }
            _ => Err(errors.into_problem()),
        }
    }
}

fn class(name: Option<String>, policy: &Policy) -> Result<String, FieldError> {
    let name = name.unwrap_or_else(|| DEFAULT_CLASS.to_owned());
    if policy.counts_users(&name) {
        Ok(name)
    } else {
        let detail = "The policy has no class of that name that counts users.";
        Err(FieldError::new("class", "invalid", detail))
    }
}

fn address(text: &str) -> Result<IpAddr, FieldError> {
    let detail = "This is not an IPv4 or IPv6 address.";
    text.parse()
        .map_err(|_| FieldError::new("ip", "invalid", detail))
}

/// Whether the key is good, and what is known of it.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyVerdict)]
pub(crate) struct VerdictBody {
    valid: bool,
    code: KeyCode,
    /// The key's owner; null of a key that nobody has, as are the next three.
    #[schema(required, value_type = Option<String>, example = "usr_019a9f3c1c2a7d3e8f00112233445566")]
    user_id: Option<UserId>,
    #[schema(required, value_type = Option<String>, example = "key_019a9f3c1c2a7d3e8f00112233445566")]
    key_id: Option<KeyId>,
    #[schema(required)]
    tier: Option<Tier>,
    /// What the key may do now.
    #[schema(required)]
    scopes: Option<ScopeSet>,
    /// The limits that were asked; none of a key that is refused for another reason.
    limits: Vec<LimitStateObject>,
}

impl From<KeyVerdict> for VerdictBody {
    fn from(verdict: KeyVerdict) -> Self {
        let known = verdict.known.as_ref();
        let owner = known.map(|(holder, _)| &holder.owner);
        Self {
            valid: verdict.code == KeyCode::Ok,
            code: verdict.code,
            user_id: owner.map(|owner| owner.id),
            key_id: known.map(|(holder, _)| holder.key.id),
            tier: owner.map(|owner| owner.tier.clone()),
            scopes: known.map(|(_, scopes)| *scopes),
            limits: LimitStateObject::all_of(&verdict.limits),
        }
    }
}

/// Verify a key
///
/// Says whether a key that somebody was shown is good for a request, and counts the request
/// against its owner's limits and the key's own if it is, as if the holder had called. A key that
/// is not good is a 200 too, and `code` says why.
#[utoipa::path(
    post, path = "/api/v1/keys/verify", operation_id = "verifyKey", tag = "API keys",
    request_body = VerifyRequest,
    responses((status = 200, description = "Whether the key is good", body = VerdictBody)),
    security(("access_token" = ["keys:verify"]), ("api_key" = ["keys:verify"])),
)]
pub(crate) async fn verify(
    State(app): State<App>,
    _caller: Caller,
    ApiJson(request): ApiJson<VerifyRequest>,
) -> Result<Json<VerdictBody>, Problem> {
    let admission = app.admission();
    let policy = admission.policy().await;
    let (key, wanted) = request.parse(&policy)?;
    // What cannot be a key is nobody's, and nothing is asked.
    let Ok(key) = ApiKey::parse(&key) else {
        return Ok(Json(KeyVerdict::unknown().into()));
    };
    let Wanted {
        cost,
        scopes,
        class,
        ip,
    } = wanted;
    let verdict = admission.verify_key(&key, ip, &class, cost, scopes).await;
    let verdict = verdict.map_err(|denied| problem_of(denied, admission.now()))?;
    Ok(Json(verdict.into()))
}
