//! The audit log's entries: who did what to whom, and when.
//!
//! An entry is left in the outbox by the transaction that it records, so that neither exists without
//! the other. People are named by id alone; an entry holds no secret and no address.

mod chain;
mod failures;
mod keys;
mod verification;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::{AuditId, InvalidId, UserId};

pub use chain::{ChainHash, ChainKey, Head, InvalidHash, Link};
pub use failures::{SignInFailure, SignInFailures};
pub use verification::{Broken, Verdict, Verification};

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    pub actor: Actor,
    pub action: Action,
    /// The id of what it was done to.
    pub target: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl AuditEntry {
    pub fn new(at: Timestamp, actor: Actor, action: Action, target: impl fmt::Display) -> Self {
        Self {
            id: AuditId::new(at),
            at,
            actor,
            action,
            target: target.to_string(),
            details: Map::new(),
        }
    }

    /// The same entry with one more detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// Who did it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    User(UserId),
    /// Somebody who was not signed in.
    Anonymous,
    /// Turnpike itself, on a schedule.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Anonymous => f.write_str("anonymous"),
            Self::System => f.write_str("system"),
        }
    }
}

impl FromStr for Actor {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            "anonymous" => Ok(Self::Anonymous),
            "system" => Ok(Self::System),
            user => user.parse().map(Self::User),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    UserRegistered,
    UserChanged,
    QuotaOverridden,
    QuotaOverrideEnded,
    QuotaReset,
    SessionsRevoked,
    SessionBegan,
    SessionEnded,
    RefreshTokenReused,
    PasswordChanged,
    PasswordReset,
    EmailVerified,
    KeyMade,
    KeyChanged,
    KeyRotated,
    KeyRevoked,
    SignInsFailed,
    CacheCleared,
    BreakerReset,
}
