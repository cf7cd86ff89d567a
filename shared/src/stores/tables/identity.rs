//! The `identity` table: who there is, and the outbox of what is to be told to whom.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `USER#<user>` | `USER` | [`UserItem`] |
//! | `USER#<user>` | `KEY#<key id>` | [`ApiKeyItem`]: a user's keys are one query |
//! | `KEY#<digest>` | `KEY` | [`KeyDigestItem`]: whose key was presented |
//! | `EMAIL#<folded address>` | `GUARD` | [`EmailGuardItem`]: of one address there is one account |
//! | `OUTBOX#<event>` | `EVENT` | [`OutboxItem`] |
//! | `OUTBOX#<event>` | `NOTICE` | [`NoticeItem`] |
//! | `AUDIT#<hour>` | an audit id | [`AuditOutboxItem`]: to be chained into the audit log |
//! | `ADMINS` | `ACTIVE` | the set [`ACTIVE_ADMINS`]: who can administer the stage; never empty once it is there |
//! | `SIGNING_KEYS` | `PUBLIC` | [`KeySetItem`]: what access tokens are verified with |
//! | `HEALTH` | `PROBE` | nothing: `/health` reads it to see whether the table answers |

use serde::{Deserialize, Serialize};

use crate::audit::AuditEntry;
use crate::auth::{
    ApiKeyRecord, CidrList, EmailAddress, EmailKey, KeyDigest, KeyLimits, KeyName, KeysRevoked,
    LimitSlot, QuotaOverride, Role, Rotation, ScopeSet, Tier, User,
};
use crate::clock::Timestamp;
use crate::ids::{EventId, KeyId, UserId};
use crate::mail::MailEvent;

pub(crate) const USER_SK: &str = "USER";
pub(crate) const KEY_SK: &str = "KEY";
pub(crate) const GUARD_SK: &str = "GUARD";
pub(crate) const EVENT_SK: &str = "EVENT";
pub(crate) const NOTICE_SK: &str = "NOTICE";
pub(crate) const KEY_SET_PK: &str = "SIGNING_KEYS";
pub(crate) const KEY_SET_SK: &str = "PUBLIC";
pub(crate) const PROBE_PK: &str = "HEALTH";
pub(crate) const PROBE_SK: &str = "PROBE";
pub(crate) const ADMINS_PK: &str = "ADMINS";
pub(crate) const ADMINS_SK: &str = "ACTIVE";
/// The ids of the active admins. An id has 36 bytes, and an item room for 10,000 of them.
pub(crate) const ACTIVE_ADMINS: &str = "ids";

/// What the sort keys of a user's API keys begin with; an id behind it sorts by its time.
pub(crate) const KEY_SK_PREFIX: &str = "KEY#";
/// What the partition keys of the outbox begin with.
pub(crate) const OUTBOX_PK_PREFIX: &str = "OUTBOX#";

pub(crate) fn user_pk(user: UserId) -> String {
    format!("USER#{user}")
}

/// The index of all users: by shard, then by id.
pub(crate) const USERS_BY_SHARD: &str = "users-by-shard";
/// The index of the users of a tier, by id.
pub(crate) const USERS_BY_TIER: &str = "users-by-tier";

pub(crate) fn user_shard(shard: u8) -> String {
    format!("USERS#{shard}")
}

pub(crate) fn key_sk(key: KeyId) -> String {
    format!("{KEY_SK_PREFIX}{key}")
}

pub(crate) fn key_digest_pk(digest: KeyDigest) -> String {
    format!("KEY#{digest}")
}

pub(crate) fn email_pk(email: &EmailKey) -> String {
    format!("EMAIL#{}", email.as_str())
}

/// What the partition keys of entries on their way to the audit log begin with.
pub(crate) const AUDIT_PK_PREFIX: &str = "AUDIT#";

/// Entries of one hour lie together, so that whoever looks for those left behind needs no scan.
pub(crate) fn audit_pk(at: Timestamp) -> String {
    audit_pk_of(audit_hour(at))
}

pub(crate) fn audit_pk_of(hour: i64) -> String {
    format!("{AUDIT_PK_PREFIX}{hour}")
}

/// In hours since the Unix epoch.
pub(crate) fn audit_hour(at: Timestamp) -> i64 {
    at.seconds().div_euclid(3_600)
}

pub(crate) fn outbox_pk(event: EventId) -> String {
    format!("{OUTBOX_PK_PREFIX}{event}")
}

#[derive(Serialize, Deserialize)]
pub(crate) struct UserItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: UserId,
    /// The partition of the index of all users.
    pub(crate) shard: String,
    pub(crate) email: EmailAddress,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) full_name: Option<String>,
    pub(crate) tier: Tier,
    pub(crate) roles: Vec<Role>,
    pub(crate) is_active: bool,
    pub(crate) is_verified: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) quota_override: Option<OverrideItem>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) keys_revoked: Option<KeysRevokedItem>,
}

pub(crate) const QUOTA_OVERRIDE: &str = "quota_override";

/// One attribute, so that limits and the reason for them end together. Only the limits travel in
/// tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OverrideItem {
    #[serde(flatten)]
    pub(crate) limits: QuotaOverride,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reason: Option<String>,
}

impl From<QuotaOverride> for OverrideItem {
    fn from(limits: QuotaOverride) -> Self {
        Self {
            limits,
            reason: None,
        }
    }
}

pub(crate) const KEYS_REVOKED: &str = "keys_revoked";

/// One attribute, so that a generation of keys cannot end without a time.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeysRevokedItem {
    pub(crate) generation: u64,
    pub(crate) at: i64,
}

impl From<KeysRevoked> for KeysRevokedItem {
    fn from(revoked: KeysRevoked) -> Self {
        Self {
            generation: revoked.generation,
            at: revoked.at.millis(),
        }
    }
}

impl From<KeysRevokedItem> for KeysRevoked {
    fn from(item: KeysRevokedItem) -> Self {
        Self {
            generation: item.generation,
            at: Timestamp::from_millis(item.at),
        }
    }
}

impl From<&User> for UserItem {
    fn from(user: &User) -> Self {
        Self {
            pk: user_pk(user.id),
            sk: USER_SK.to_owned(),
            id: user.id,
            shard: user_shard(user.id.shard()),
            email: user.email.clone(),
            full_name: user.full_name.clone(),
            tier: user.tier.clone(),
            roles: user.roles.clone(),
            is_active: user.is_active,
            is_verified: user.is_verified,
            created_at: user.created_at.millis(),
            updated_at: user.updated_at.millis(),
            epoch: user.epoch,
            quota_override: user.quota_override.map(OverrideItem::from),
            keys_revoked: user.keys_revoked.map(KeysRevokedItem::from),
        }
    }
}

impl From<UserItem> for User {
    fn from(item: UserItem) -> Self {
        Self {
            id: item.id,
            email: item.email,
            full_name: item.full_name,
            tier: item.tier,
            roles: item.roles,
            is_active: item.is_active,
            is_verified: item.is_verified,
            created_at: Timestamp::from_millis(item.created_at),
            updated_at: Timestamp::from_millis(item.updated_at),
            epoch: item.epoch,
            quota_override: item.quota_override.map(|lifted| lifted.limits),
            keys_revoked: item.keys_revoked.map(KeysRevoked::from),
        }
    }
}

/// An API key of a user: everything about it but the key.
#[derive(Serialize, Deserialize)]
pub(crate) struct ApiKeyItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: KeyId,
    pub(crate) user_id: UserId,
    pub(crate) digest: KeyDigest,
    pub(crate) name: KeyName,
    pub(crate) prefix: String,
    pub(crate) scopes: ScopeSet,
    pub(crate) allowed_cidrs: CidrList,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) limit_hour: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) limit_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) limit_month: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) limit_slot: Option<LimitSlot>,
    pub(crate) created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) revoked_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) made_by: Option<KeyId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rotation: Option<RotationItem>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) last_used_at: Option<i64>,
    #[serde(default)]
    pub(crate) generation: u64,
}

/// What of a key's item may change with its owner's knowledge; the rest is as it was made, or is
/// written by whoever sees the key used.
pub(crate) const CHANGEABLE: [&str; 9] = [
    "name",
    "scopes",
    "allowed_cidrs",
    "limit_hour",
    "limit_day",
    "limit_month",
    "limit_slot",
    "revoked_at",
    "rotation",
];

/// One attribute, so that a successor without an end of the overlap, which would leave the old key
/// alive, cannot be stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct RotationItem {
    pub(crate) to: KeyId,
    pub(crate) live_until: i64,
}

impl From<&ApiKeyRecord> for ApiKeyItem {
    fn from(key: &ApiKeyRecord) -> Self {
        Self {
            pk: user_pk(key.owner),
            sk: key_sk(key.id),
            id: key.id,
            user_id: key.owner,
            digest: key.digest,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            scopes: key.scopes,
            allowed_cidrs: key.allowed_cidrs.clone(),
            limit_hour: key.limits.hour,
            limit_day: key.limits.day,
            limit_month: key.limits.month,
            limit_slot: key.limit_slot,
            created_at: key.created_at.millis(),
            expires_at: key.expires_at.map(Timestamp::millis),
            revoked_at: key.revoked_at.map(Timestamp::millis),
            made_by: key.made_by,
            rotation: key.rotation.map(|rotation| RotationItem {
                to: rotation.to,
                live_until: rotation.live_until.millis(),
            }),
            last_used_at: key.last_used_at.map(Timestamp::millis),
            generation: key.generation,
        }
    }
}

impl From<ApiKeyItem> for ApiKeyRecord {
    fn from(item: ApiKeyItem) -> Self {
        Self {
            id: item.id,
            owner: item.user_id,
            digest: item.digest,
            name: item.name,
            prefix: item.prefix,
            scopes: item.scopes,
            allowed_cidrs: item.allowed_cidrs,
            limits: KeyLimits {
                hour: item.limit_hour,
                day: item.limit_day,
                month: item.limit_month,
            },
            limit_slot: item.limit_slot,
            created_at: Timestamp::from_millis(item.created_at),
            expires_at: item.expires_at.map(Timestamp::from_millis),
            revoked_at: item.revoked_at.map(Timestamp::from_millis),
            made_by: item.made_by,
            rotation: item.rotation.map(|rotation| Rotation {
                to: rotation.to,
                live_until: Timestamp::from_millis(rotation.live_until),
            }),
            last_used_at: item.last_used_at.map(Timestamp::from_millis),
            generation: item.generation,
        }
    }
}

/// Where the key is that was presented; found by its digest, as long as the key's item is there.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeyDigestItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) user_id: UserId,
    pub(crate) key_id: KeyId,
}

impl From<&ApiKeyRecord> for KeyDigestItem {
    fn from(key: &ApiKeyRecord) -> Self {
        Self {
            pk: key_digest_pk(key.digest),
            sk: KEY_SK.to_owned(),
            user_id: key.owner,
            key_id: key.id,
        }
    }
}

/// The public signing keys.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeySetItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) document: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EmailGuardItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) user_id: UserId,
}

/// Something to be told, until it has been: what for and to whom, never a token.
#[derive(Serialize, Deserialize)]
pub(crate) struct OutboxItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: EventId,
    pub(crate) mail: MailEvent,
    pub(crate) created_at: i64,
    pub(crate) ttl: i64,
}

/// That a user has used much of a month, until somebody has told them.
#[derive(Serialize, Deserialize)]
pub(crate) struct NoticeItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: EventId,
    pub(crate) user_id: UserId,
    /// `2026-11`
    pub(crate) period: String,
    /// How much of the limit is used, in percent: 80 or 100.
    pub(crate) percent: u8,
    pub(crate) used: u64,
    pub(crate) limit: u64,
    pub(crate) created_at: i64,
    pub(crate) ttl: i64,
}

/// An entry of the audit log until it is part of the chain. It does not expire.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuditOutboxItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) entry: AuditEntry,
}

impl From<&AuditEntry> for AuditOutboxItem {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            pk: audit_pk(entry.at),
            sk: entry.id.to_string(),
            entry: entry.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_dynamo::AttributeValue;

    use super::*;
    use crate::auth::{Allowance, ApiKey, KeyKind, Network};

    #[test]
    fn a_user_survives_the_round_trip_through_its_item() {
        let at = Timestamp::from_millis(1_795_207_396_042);
        let user = User {
            id: UserId::new(at),
            email: "Ada@example.com".parse().unwrap(),
            full_name: Some("Ada King".into()),
            tier: Tier::free(),
            roles: vec![Role::User, Role::Admin],
            is_active: true,
            is_verified: false,
            created_at: at,
            updated_at: at,
            epoch: 7,
            quota_override: Some(QuotaOverride {
                hour: Some(Allowance(None)),
                ..QuotaOverride::default()
            }),
            keys_revoked: Some(KeysRevoked {
                generation: 2,
                at: Timestamp::from_millis(at.millis() + 1),
            }),
        };

        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(UserItem::from(&user)).unwrap();
        let read = User::from(serde_dynamo::from_item::<_, UserItem>(item).unwrap());

        assert_eq!(format!("{read:?}"), format!("{user:?}"));
        assert_eq!(read.email.as_str(), "Ada@example.com");
    }

    #[test]
    fn an_override_and_its_reason_survive_the_round_trip_with_and_without_one() {
        let limits = QuotaOverride {
            hour: Some(Allowance(None)),
            day: Some(Allowance(Some(0))),
            month: None,
            expires_at: Some(7),
        };

        for reason in [None, Some("paid by invoice".to_owned())] {
            let stored = OverrideItem {
                limits,
                reason: reason.clone(),
            };
            let value: AttributeValue = serde_dynamo::to_attribute_value(&stored).unwrap();
            let read: OverrideItem = serde_dynamo::from_attribute_value(value).unwrap();

            assert_eq!((read.limits, read.reason), (limits, reason));
        }
    }

    fn key() -> ApiKeyRecord {
        let at = Timestamp::from_millis(1_795_207_396_042);
        ApiKeyRecord {
            id: KeyId::new(at),
            owner: UserId::new(at),
            digest: ApiKey::generate(KeyKind::Live).digest(),
            name: "CI".parse().unwrap(),
            prefix: "tp_live_0000".into(),
            scopes: ScopeSet::EMPTY,
            allowed_cidrs: CidrList::everywhere(),
            limits: KeyLimits::NONE,
            limit_slot: None,
            created_at: at,
            expires_at: None,
            revoked_at: None,
            made_by: None,
            rotation: None,
            last_used_at: None,
            generation: 0,
        }
    }

    #[test]
    fn an_api_key_survives_the_round_trip_through_its_item() {
        let bare = key();
        let later = |millis| Timestamp::from_millis(bare.created_at.millis() + millis);
        let full = ApiKeyRecord {
            scopes: ScopeSet::default_of_key(),
            allowed_cidrs: CidrList::new(["192.0.2.0/24", "2001:db8::/32"].map(network)).unwrap(),
            limits: KeyLimits {
                hour: Some(0),
                day: Some(20),
                month: Some(1_000_000_000),
            },
            limit_slot: Some(LimitSlot::taken_at(9)),
            expires_at: Some(later(1)),
            revoked_at: Some(later(2)),
            made_by: Some(KeyId::new(bare.created_at)),
            rotation: Some(Rotation {
                to: KeyId::new(later(3)),
                live_until: later(4),
            }),
            last_used_at: Some(later(5)),
            generation: 6,
            ..key()
        };

        for record in [bare, full] {
            let item: HashMap<String, AttributeValue> =
                serde_dynamo::to_item(ApiKeyItem::from(&record)).unwrap();
            let read = ApiKeyRecord::from(serde_dynamo::from_item::<_, ApiKeyItem>(item).unwrap());

            assert_eq!(read, record);
        }
    }

    #[test]
    fn a_key_is_found_by_its_owner_and_by_its_digest() {
        let key = key();

        let of_owner = ApiKeyItem::from(&key);
        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(KeyDigestItem::from(&key)).unwrap();
        let by_digest: KeyDigestItem = serde_dynamo::from_item(item).unwrap();

        assert_eq!(of_owner.pk, format!("USER#{}", key.owner));
        assert_eq!(of_owner.sk, format!("KEY#{}", key.id));
        assert_eq!(by_digest.pk, format!("KEY#{}", key.digest));
        assert_eq!(by_digest.sk, "KEY");
        assert_eq!((by_digest.user_id, by_digest.key_id), (key.owner, key.id));
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }
}
