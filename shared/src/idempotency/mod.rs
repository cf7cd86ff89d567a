//! `Idempotency-Key`: a request that is sent twice takes effect once, and is answered alike
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! The rules without I/O: what a key is, what makes two requests the same, who may be shown an
//! answer again, and how it is kept. A request's record goes from running to answered, and it does
//! so in the very transaction of what the request does; [`crate::stores`] writes it,
//! [`crate::web`] asks for it.

mod attempt;
mod key;
mod secrets;

use std::time::Duration;

pub use attempt::{Attempt, AttemptId, Earlier, KeptAnswer, Repeated};
pub use key::{IdempotencyKey, InvalidKey};
pub use secrets::{CannotOpen, Fingerprint, FirstAnswer, IdempotencySecrets, RecordId, Request};

use crate::auth::EmailKey;
use crate::ids::{KeyId, SessionId, UserId};

/// How long a key stands for the request that it came with first.
pub const KEPT_FOR: Duration = Duration::from_hours(24);

/// How long a try may run before another takes its place: no function lives longer than 10 seconds,
/// and the clocks of two may differ.
pub const LEASE: Duration = Duration::from_secs(30);

/// Whose key it is: another's is another, even if it reads the same.
///
/// A user's sessions are one caller, because each may do what the others may. An API key is one of
/// its own: what one made is not shown to another, which may be allowed less.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KeyUser {
    Sessions(UserId),
    ApiKey(UserId, KeyId),
    /// Of an open route: whose account it is about.
    Email(EmailKey),
}

/// What an answer shows that is good for something as long as it stands.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Secret {
    ApiKey {
        owner: UserId,
        id: KeyId,
    },
    /// The first tokens of a session.
    Tokens {
        user: UserId,
        session: SessionId,
    },
}
