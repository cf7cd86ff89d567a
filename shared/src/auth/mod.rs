//! Identity: users, passwords, tokens, sessions and API keys, as rules without I/O.
//!
//! Nothing in here knows DynamoDB or HTTP; `tests/it/architecture.rs` holds it to that.

pub mod access_token;
pub mod administration;
pub mod api_key;
pub mod email;
pub mod key_set;
pub mod one_time_token;
pub mod password;
pub mod principal;
pub mod profile;
pub mod refresh_token;
pub mod scope;
pub mod secret;
pub mod session;
pub mod signing_keys;
pub mod user;
mod verified_tokens;

pub use access_token::{Claims, TokenProfile, TokenRejected};
pub use administration::{ChangedBy, UserChange};
pub use api_key::grant::{GrantRefused, Grantor, KeyGrant};
pub use api_key::networks::{CidrList, Network};
pub use api_key::record::{
    ApiKeyRecord, KeyLimits, KeyName, KeyState, KeysRevoked, LimitSlot, Rotation,
};
pub use api_key::ring::{KeyChange, KeyChanges, KeyDraft, KeyManager, KeyRefused, KeyRing, NewKey};
pub use api_key::{ApiKey, KeyDigest, KeyKind};
pub use email::{EmailAddress, EmailKey};
pub use key_set::{InvalidKeySet, KeySet};
pub use one_time_token::{OneTimeToken, Purpose, TokenDigest};
pub use password::{
    NewPassword, Password, PasswordHash, PasswordHasher, PasswordRejected, Verdict,
};
pub use principal::{Allowance, Principal, QuotaOverride};
pub use refresh_token::{RefreshKey, RefreshToken};
pub use scope::{Scope, ScopeSet};
pub use secret::StageSecret;
pub use session::{RefreshDecision, Session, SessionEnd};
pub use signing_keys::{Algorithm, SigningKeys};
pub use user::{Role, Tier, User};
