//! `/api/v1/users/api-keys`: the caller's own keys, how they are shown, and why a change of them
//! is refused.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod show;

use serde::Serialize;
use turnpike_shared::admission::{Caller, Credential};
use turnpike_shared::auth::{
    ApiKey, ApiKeyRecord, CidrList, GrantRefused, KeyLimits, KeyManager, KeyName, KeyRefused,
    ScopeSet,
};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::KeyId;
use utoipa::ToSchema;

/// An API key, without the key.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyObject {
    #[schema(value_type = String, example = "key_019a9f3c1c2a7d3e8f00112233445566")]
    id: KeyId,
    name: KeyName,
    /// The key's first 12 characters.
    #[schema(example = "tp_live_0123")]
    prefix: String,
    /// What it may do, as far as its owner may.
    scopes: ScopeSet,
    /// From where it may be used; an empty list means from everywhere.
    allowed_cidrs: CidrList,
    /// Its own limits, beside its owner's; null when it has none.
    #[schema(required)]
    limits: Option<KeyLimits>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was revoked, or when the overlap after its rotation ended.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl ApiKeyObject {
    fn new(key: &ApiKeyRecord, now: Timestamp) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            scopes: key.scopes,
            allowed_cidrs: key.allowed_cidrs.clone(),
            limits: Some(key.limits).filter(|limits| !limits.is_none()),
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
            revoked_at: key.ended_at(now),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyAnswer)]
pub(crate) struct ApiKeyBody {
    api_key: ApiKeyObject,
}

impl ApiKeyBody {
    fn new(key: &ApiKeyRecord, now: Timestamp) -> Self {
        let api_key = ApiKeyObject::new(key, now);
        Self { api_key }
    }
}

/// A new key: the one answer that shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKeyAnswer)]
pub(crate) struct NewApiKeyBody {
    api_key: ApiKeyObject,
    /// The key itself. It is shown this once; keep it secret.
    #[schema(example = "tp_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1ggZdL")]
    key: String,
}

impl NewApiKeyBody {
    pub(crate) fn new(record: &ApiKeyRecord, key: &ApiKey, now: Timestamp) -> Self {
        Self {
            api_key: ApiKeyObject::new(record, now),
            key: key.expose().to_owned(),
        }
    }
}

/// What the caller manages keys with.
pub(crate) fn manager(caller: &Caller) -> KeyManager {
    match &caller.credential {
        Credential::Session(session) => KeyManager::Session(*session),
        Credential::Key(key) => KeyManager::Key(key.id),
    }
}

/// What the client is told of a change that is not made.
pub(crate) fn problem_of(refused: KeyRefused) -> Problem {
    use ProblemCode::{KeyRevoked, KeyRotated, TooManyKeys};

    match refused {
        KeyRefused::ManagerGone => Problem::unauthenticated(),
        KeyRefused::NotFound => Problem::not_found(),
        KeyRefused::NotLive => Problem::new(KeyRevoked, "The key is revoked or has expired."),
        KeyRefused::RotatedBefore => Problem::new(
            KeyRotated,
            "The key was rotated before, and lives on for the overlap alone.",
        ),
        KeyRefused::TooManyKeys => Problem::new(TooManyKeys, "There are 100 live keys."),
        KeyRefused::TooManyWithLimits => {
            Problem::new(TooManyKeys, "5 live keys have limits of their own.")
        }
        KeyRefused::NotGranted(refused) => not_granted(refused),
    }
}

fn not_granted(refused: GrantRefused) -> Problem {
    use ProblemCode::{BeyondOwnKey, ScopeNotHeld};

    match refused {
        GrantRefused::ScopesNotHeld(scopes) => {
            Problem::new(ScopeNotHeld, format!("Not the caller's to give: {scopes}."))
        }
        GrantRefused::KeysWriteByKey => {
            Problem::new(ScopeNotHeld, "An API key does not give keys:write.")
        }
        GrantRefused::CidrsNotWithin => Problem::new(
            BeyondOwnKey,
            "allowed_cidrs is not within the calling key's.",
        ),
        GrantRefused::ExpiryNotWithin => Problem::new(
            BeyondOwnKey,
            "expires_at is not within the calling key's life.",
        ),
        GrantRefused::LimitsNotWithin => {
            Problem::new(BeyondOwnKey, "limits are not within the calling key's.")
        }
        GrantRefused::Itself => Problem::new(BeyondOwnKey, "An API key does not manage itself."),
    }
}
