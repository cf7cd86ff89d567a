//! Who calls, as far as limits and permissions need to know it.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Claims, Role, ScopeSet, Tier, User};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// A limit that may be none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allowance(pub Option<u64>);

/// Limits of one user that replace the tier's, until they expire. What is left out keeps the
/// tier's limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QuotaOverride {
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub hour: Option<Allowance>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub day: Option<Allowance>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub month: Option<Allowance>,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// Tells a member that is null (unlimited) from one that is not there (the tier's).
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Allowance>, D::Error> {
    Allowance::deserialize(deserializer).map(Some)
}

impl QuotaOverride {
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.expires_at
            .is_none_or(|expires_at| now.millis() < expires_at)
    }
}

/// A user, as a token states them or their record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    pub id: UserId,
    pub tier: Tier,
    pub roles: Vec<Role>,
    pub is_verified: bool,
    pub quota_override: Option<QuotaOverride>,
    /// The epoch under which all of this was so.
    pub epoch: u64,
}

impl Principal {
    /// What the user's roles hold.
    pub fn scopes(&self) -> ScopeSet {
        ScopeSet::of_roles(&self.roles)
    }
}

impl From<&User> for Principal {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            tier: user.tier.clone(),
            roles: user.roles.clone(),
            is_verified: user.is_verified,
            quota_override: user.quota_override,
            epoch: user.epoch,
        }
    }
}

impl From<&Claims> for Principal {
    fn from(claims: &Claims) -> Self {
        Self {
            id: claims.sub,
            tier: claims.tier.clone(),
            roles: claims.roles.clone(),
            is_verified: claims.email_verified,
            quota_override: claims.quota,
            epoch: claims.ep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_tells_unlimited_from_the_tiers_own() {
        let lifted = QuotaOverride {
            hour: Some(Allowance(None)),
            day: Some(Allowance(Some(5))),
            ..QuotaOverride::default()
        };

        let written = serde_json::to_string(&lifted).unwrap();

        assert_eq!(written, r#"{"hour":null,"day":5}"#);
        assert_eq!(
            serde_json::from_str::<QuotaOverride>(&written).unwrap(),
            lifted
        );
    }

    #[test]
    fn an_override_ends_when_it_expires() {
        let until = QuotaOverride {
            expires_at: Some(1_000),
            ..QuotaOverride::default()
        };

        assert!(until.is_in_force(Timestamp::from_millis(999)));
        assert!(!until.is_in_force(Timestamp::from_millis(1_000)));
        assert!(QuotaOverride::default().is_in_force(Timestamp::from_millis(i64::MAX)));
    }
}
