//! Access: what a user's e-mail address must be before some scopes are theirs, and whether
//! registering tells that an address is taken.

use serde::{Deserialize, Deserializer};

use super::read::{self, Text, names};
use crate::auth::Scope as KnownScope;

/// Who may do what before their address is known to be theirs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicy {
    /// Scopes that a user lacks until their e-mail address is verified.
    #[serde(default, deserialize_with = "names::<_, Scope>")]
    pub require_verified_email: Vec<String>,
    /// Whether registering an address that has an account already says so.
    #[serde(default = "yes")]
    pub reveal_accounts: bool,
}

fn yes() -> bool {
    true
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self {
            require_verified_email: Vec::new(),
            reveal_accounts: true,
        }
    }
}

/// A scope that some role has.
struct Scope(String);

impl Text for Scope {
    const EXPECTED: &'static str = "a scope that there is, such as \"query:run\"";

    fn read(text: &str) -> Option<Self> {
        text.parse::<KnownScope>()
            .ok()
            .map(|_| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::text(deserializer)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}
