//! What admins change of a user, as rules without I/O: what a change comes to, and how it is told
//! to the audit log.
//!
//! That one admin stays is not decided here: only the store can know it of racing changes.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::{QuotaOverride, Role, Tier, User};

use crate::audit::{Action, Actor, AuditEntry};
use crate::clock::Timestamp;
use crate::ids::{KeyId, UserId};

/// Who makes a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangedBy {
    pub user: UserId,
    /// The API key that they called with, if it was one.
    pub key: Option<KeyId>,
}

impl ChangedBy {
    /// The entry of the audit log for what was done to `target`.
    pub fn entry(self, at: Timestamp, action: Action, target: impl Display) -> AuditEntry {
        let entry = AuditEntry::new(at, Actor::User(self.user), action, target);
        match self.key {
            Some(key) => entry.with("key", key.to_string()),
            None => entry,
        }
    }
}

/// A change of a user; what is `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserChange {
    pub tier: Option<Tier>,
    pub is_active: Option<bool>,
    pub roles: Option<Vec<Role>>,
}

impl UserChange {
    /// The user as the change makes them; `None` if it changes nothing.
    pub fn applied_to(&self, user: &User) -> Option<User> {
        let changed = User {
            tier: self.tier.clone().unwrap_or_else(|| user.tier.clone()),
            is_active: self.is_active.unwrap_or(user.is_active),
            roles: self.roles.clone().unwrap_or_else(|| user.roles.clone()),
            ..user.clone()
        };
        let is_changed = changed.tier != user.tier
            || changed.is_active != user.is_active
            || changed.roles != user.roles;
        is_changed.then_some(changed)
    }
}

/// What of a user an admin has changed: the members that differ, as they were and as they are.
pub fn differences(before: &User, after: &User) -> (Value, Value) {
    let members = |user: &User| {
        [
            ("tier", json!(user.tier)),
            ("is_active", json!(user.is_active)),
            ("roles", json!(user.roles)),
        ]
    };
    let (mut was, mut is) = (Map::new(), Map::new());
    for ((name, old), (_, new)) in members(before).into_iter().zip(members(after)) {
        if old != new {
            was.insert(name.to_owned(), old);
            is.insert(name.to_owned(), new);
        }
    }
    (Value::Object(was), Value::Object(is))
}

/// The limits of an override and its expiry, as an entry of the audit log tells them.
pub fn told_of_override(entry: AuditEntry, lifted: &QuotaOverride) -> AuditEntry {
    let limits = [
        ("hour", lifted.hour),
        ("day", lifted.day),
        ("month", lifted.month),
    ];
    let limits = limits.into_iter();
    let limits: Map<String, Value> = limits
        .filter_map(|(name, limit)| Some((name.to_owned(), json!(limit?))))
        .collect();
    let entry = entry.with("limits", limits);
    match lifted.expires_at.map(Timestamp::from_millis) {
        Some(expires_at) => entry.with("expires_at", json!(expires_at)),
        None => entry,
    }
}

/// What a user may be, from what is asked for: each role once and in one order; everybody is a
/// user.
pub fn with_roles(asked: &[Role]) -> Vec<Role> {
    let is_held = |role: &Role| *role == Role::User || asked.contains(role);
    Role::ALL.into_iter().filter(is_held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Allowance;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn user() -> User {
        User {
            id: UserId::new(T),
            email: "ada@example.com".parse().unwrap(),
            full_name: None,
            tier: Tier::free(),
            roles: vec![Role::User],
            is_active: true,
            is_verified: true,
            created_at: T,
            updated_at: T,
            quota_override: None,
            epoch: 1,
            keys_revoked: None,
        }
    }

    #[test]
    fn a_change_to_what_is_so_already_changes_nothing() {
        let same = UserChange {
            tier: Some(Tier::free()),
            is_active: Some(true),
            roles: Some(vec![Role::User]),
        };
        let other = UserChange {
            is_active: Some(false),
            ..same.clone()
        };

        assert!(UserChange::default().applied_to(&user()).is_none());
        assert!(same.applied_to(&user()).is_none());
        assert!(!other.applied_to(&user()).unwrap().is_active);
    }

    #[test]
    fn the_log_is_told_what_differs_and_nothing_else() {
        let after = User {
            tier: Tier::enterprise(),
            ..user()
        };

        let (was, is) = differences(&user(), &after);

        assert_eq!(was, json!({"tier": "free"}));
        assert_eq!(is, json!({"tier": "enterprise"}));
    }

    #[test]
    fn the_log_tells_unlimited_from_the_tiers_own() {
        let lifted = QuotaOverride {
            hour: Some(Allowance(Some(5))),
            day: Some(Allowance(None)),
            month: None,
            expires_at: Some(0),
        };
        let by = ChangedBy {
            user: UserId::new(T),
            key: Some(KeyId::new(T)),
        };

        let entry = by.entry(T, Action::QuotaOverridden, UserId::new(T));
        let entry = told_of_override(entry, &lifted);

        assert_eq!(entry.details["limits"], json!({"hour": 5, "day": null}));
        assert_eq!(entry.details["expires_at"], "1970-01-01T00:00:00Z");
        assert_eq!(entry.details["key"], by.key.unwrap().to_string());
    }

    #[test]
    fn everybody_is_a_user_and_has_each_role_once() {
        use Role::{Admin, Support, User};
        let cases: [(&[Role], &[Role]); 4] = [
            (&[], &[User]),
            (&[Admin], &[User, Admin]),
            (&[Admin, User, Admin, Support], &[User, Support, Admin]),
            (&[User], &[User]),
        ];

        for (asked, expected) in cases {
            assert_eq!(with_roles(asked), expected, "{asked:?}");
        }
    }
}
