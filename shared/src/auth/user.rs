//! Users: who they are, what tier they are in, and what their roles let them do.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EmailAddress;
use crate::clock::Timestamp;
use crate::ids::UserId;

/// The tier that decides a user's limits; its name is a key of the policy's `[tiers]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
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

/// What every user may do.
const USER_SCOPES: &[&str] = &[
    "profile:read",
    "profile:write",
    "keys:read",
    "keys:write",
    "usage:read",
    "preferences:read",
    "preferences:write",
    "behavior:read",
    "behavior:write",
    "content:read",
    "query:run",
    "history:read",
    "history:write",
    "jobs:read",
    "jobs:write",
    "cache:read",
    "cache:write",
];
const SUPPORT_SCOPES: &[&str] = &["admin:read"];
const ADMIN_SCOPES: &[&str] = &[
    "admin:read",
    "admin:write",
    "keys:verify",
    "limits:check",
    "content:write",
];

/// The scopes that `roles` hold together, space-separated as a token states them (RFC 6749,
/// section 3.3), each once.
pub fn scopes_of(roles: &[Role]) -> String {
    let mut scopes: Vec<&str> = Vec::new();
    for role in roles {
        let held = match role {
            Role::User => USER_SCOPES,
            Role::Support => SUPPORT_SCOPES,
            Role::Admin => ADMIN_SCOPES,
        };
        for scope in held {
            if !scopes.contains(scope) {
                scopes.push(scope);
            }
        }
    }
    scopes.join(" ")
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
    /// Raised by every change of this record or of the user's keys; a token states the one that it
    /// was made under.
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_holds_a_users_scopes_and_the_admins_each_once() {
        let scopes = scopes_of(&[Role::User, Role::Support, Role::Admin]);

        let mut list: Vec<&str> = scopes.split(' ').collect();
        let count = list.len();
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), count);
        assert!(list.contains(&"profile:read") && list.contains(&"admin:write"));
    }
}
