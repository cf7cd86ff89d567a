//! Users: who they are, what tier they are in, which of their sessions stand.
//!
//! What a role lets its holder do stands in [`super::scope`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EmailAddress, KeysRevoked, QuotaOverride};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// The tier that decides a user's limits; its name is a key of the policy's `[tiers]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = "free")]
pub struct Tier(String);

impl Tier {
    /// Where everybody starts.
    pub fn free() -> Self {
        Self("free".to_owned())
    }

    /// Where the operator's own people are.
    pub fn enterprise() -> Self {
        Self("enterprise".to_owned())
    }

    /// The tier of that name. Whether there is one says the policy.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody is to the product.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Support,
    Admin,
}

impl Role {
    /// Every role, in the order in which a user's are listed.
    pub const ALL: [Self; 3] = [Self::User, Self::Support, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Support => "support",
            Self::Admin => "admin",
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    pub email: EmailAddress,
    pub full_name: Option<String>,
    pub tier: Tier,
    pub roles: Vec<Role>,
    pub is_active: bool,
    pub is_verified: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Limits that an admin gave this user instead of the tier's.
    pub quota_override: Option<QuotaOverride>,
    /// Raised by every change of this record or of the user's keys; a token states the one that it
    /// was made under.
    pub epoch: u64,
    /// That all keys made before were revoked together, if they ever were.
    pub keys_revoked: Option<KeysRevoked>,
}

impl User {
    /// Whether this is somebody who can administer the stage now.
    pub fn is_active_admin(&self) -> bool {
        self.is_active && self.roles.contains(&Role::Admin)
    }
}
