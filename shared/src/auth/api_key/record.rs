//! What is known of a key: whose it is, what it may do, from where, how much and until when.
//!
//! It is the record that the store keeps, never the key. It decides what follows from the record
//! alone; how often a key was used is counted elsewhere.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::KeyDigest;
use super::networks::CidrList;
use crate::auth::ScopeSet;
use crate::clock::Timestamp;
use crate::ids::{KeyId, UserId};

/// The most live keys that a user has.
pub const MAX_LIVE_KEYS: usize = 100;
/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 100;
/// The most that one limit admits.
pub const MAX_LIMIT: u64 = 1_000_000_000;

/// Why a text is no name for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyName {
    #[error("a name has at least one character")]
    Empty,
    #[error("a name has at most {MAX_NAME_CHARS} characters")]
    TooLong,
    #[error("a name has no control characters")]
    ControlCharacter,
}

/// What a key's owner calls it: 1 to 100 characters.
#[derive(Clone, PartialEq, Eq, Debug, utoipa::ToSchema)]
#[schema(value_type = String, example = "CI")]
pub struct KeyName(String);

impl KeyName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Space around the name is dropped.
impl FromStr for KeyName {
    type Err = InvalidKeyName;

    fn from_str(text: &str) -> Result<Self, InvalidKeyName> {
        let name = text.trim();
        if name.is_empty() {
            Err(InvalidKeyName::Empty)
        } else if name.chars().count() > MAX_NAME_CHARS {
            Err(InvalidKeyName::TooLong)
        } else if name.contains(char::is_control) {
            Err(InvalidKeyName::ControlCharacter)
        } else {
            Ok(Self(name.to_owned()))
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A key's own limits, in requests. What has none is bound by its owner's alone; they never widen
/// those.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyLimits {
    /// In any 60 minutes; unlimited when `null`.
    pub hour: Option<u64>,
    /// In any 24 hours; unlimited when `null`.
    pub day: Option<u64>,
    /// In a calendar month in UTC; unlimited when `null`.
    pub month: Option<u64>,
}

impl KeyLimits {
    /// A key that is bound by its owner's limits alone.
    pub const NONE: Self = Self {
        hour: None,
        day: None,
        month: None,
    };

    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Whether each limit of `outer` is here too, and no higher.
    pub fn lie_within(&self, outer: &Self) -> bool {
        let no_higher = |own: Option<u64>, outer: Option<u64>| match (own, outer) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(outer)) => own <= outer,
        };
        no_higher(self.hour, outer.hour)
            && no_higher(self.day, outer.day)
            && no_higher(self.month, outer.month)
    }
}

/// Where a key's own limits are counted among its owner's counters: a place of its own, which no
/// later key gets, whatever of it is still remembered somewhere. A key and the one that it was
/// exchanged for share it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LimitSlot(u64);

impl LimitSlot {
    /// How many slots a user's live keys have among them, because all counters of a user are one
    /// item of bounded size.
    pub const MAX: usize = 5;

    /// The slot that is taken by the change which raises its owner's epoch to `epoch`: no other
    /// change ever does.
    pub const fn taken_at(epoch: u64) -> Self {
        Self(epoch)
    }

    pub const fn number(self) -> u64 {
        self.0
    }
}

/// That a key was exchanged for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotation {
    pub to: KeyId,
    /// Until when the old key still works beside the new one.
    pub live_until: Timestamp,
}

/// Whether a key still opens anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    Live,
    /// Its owner ended it, or exchanged it and the overlap is over.
    Revoked,
    Expired,
}

/// A key as the store knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiKeyRecord {
    pub id: KeyId,
    pub owner: UserId,
    pub digest: KeyDigest,
    pub name: KeyName,
    /// The key's first 12 characters, by which its owner knows it again.
    pub prefix: String,
    pub scopes: ScopeSet,
    pub allowed_cidrs: CidrList,
    pub limits: KeyLimits,
    /// Where `limits` are counted, if there are any.
    pub limit_slot: Option<LimitSlot>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// The key that made this one, and whose revocation revokes it.
    pub made_by: Option<KeyId>,
    pub rotation: Option<Rotation>,
    pub last_used_at: Option<Timestamp>,
    /// How often all of its owner's keys had been revoked together before it was made.
    pub generation: u64,
}

/// That all keys of a user were revoked together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeysRevoked {
    /// The generation of keys that have been made since; all older ones are revoked.
    pub generation: u64,
    pub at: Timestamp,
}

impl ApiKeyRecord {
    /// The key as it stands under what was revoked of its owner's.
    #[must_use]
    pub fn under(self, revoked: Option<KeysRevoked>) -> Self {
        let revoked = revoked.filter(|revoked| self.generation < revoked.generation);
        let revoked_at = self.revoked_at.into_iter().chain(revoked.map(|all| all.at));
        Self {
            revoked_at: revoked_at.min(),
            ..self
        }
    }

    /// A revocation holds as soon as it is written, whatever the reader's clock says.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.ended_at(now).is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Live
        }
    }

    /// When the key was revoked, by its owner or by the end of the overlap after its rotation: what
    /// `revoked_at` shows.
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        let overlap_ended = self.rotation.map(|rotation| rotation.live_until);
        let overlap_ended = overlap_ended.filter(|end| *end <= now);
        match (self.revoked_at, overlap_ended) {
            (Some(revoked), Some(ended)) => Some(revoked.min(ended)),
            (revoked, ended) => revoked.or(ended),
        }
    }

    /// The end that is already fixed, by expiry or by rotation.
    pub fn lives_until(&self) -> Option<Timestamp> {
        let overlap = self.rotation.map(|rotation| rotation.live_until);
        self.expires_at.into_iter().chain(overlap).min()
    }

    /// Whether a request from `address` may use it.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed_cidrs.allows(address)
    }

    /// What the key may do while its owner holds `held`: never more than either.
    pub fn effective_scopes(&self, held: ScopeSet) -> ScopeSet {
        self.scopes.intersection(held)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::{Role, Scope};

    pub(crate) const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    /// A key that may do what keys may, from everywhere, for ever.
    pub(crate) fn record() -> ApiKeyRecord {
        ApiKeyRecord {
            id: KeyId::new(T),
            owner: UserId::new(T),
            digest: "g2E189xBvMSpf963VbcTAlIWbfwZEvFUmdhs5WGVX44"
                .parse()
                .unwrap(),
            name: "CI".parse().unwrap(),
            prefix: "tp_live_0000".into(),
            scopes: ScopeSet::default_of_key(),
            allowed_cidrs: CidrList::everywhere(),
            limits: KeyLimits::NONE,
            limit_slot: None,
            created_at: T,
            expires_at: None,
            revoked_at: None,
            made_by: None,
            rotation: None,
            last_used_at: None,
            generation: 0,
        }
    }

    fn until(live_until: Timestamp) -> Rotation {
        let to = KeyId::new(T);
        Rotation { to, live_until }
    }

    #[test]
    fn a_key_lives_until_it_is_revoked_or_expires_or_its_overlap_ends() {
        let (before, after) = (
            T.minus(Duration::from_millis(1)),
            T.plus(Duration::from_millis(1)),
        );
        let cases = [
            ("for ever", None, None, None, KeyState::Live),
            ("expires later", Some(after), None, None, KeyState::Live),
            ("expires now", Some(T), None, None, KeyState::Expired),
            ("revoked", None, Some(before), None, KeyState::Revoked),
            (
                "revoked by a clock ahead",
                None,
                Some(after),
                None,
                KeyState::Revoked,
            ),
            (
                "revoked and expired",
                Some(before),
                Some(before),
                None,
                KeyState::Revoked,
            ),
            (
                "in its overlap",
                None,
                None,
                Some(until(after)),
                KeyState::Live,
            ),
            (
                "at its overlap's end",
                None,
                None,
                Some(until(T)),
                KeyState::Revoked,
            ),
            (
                "expires in its overlap",
                Some(T),
                None,
                Some(until(after)),
                KeyState::Expired,
            ),
            (
                "revoked in its overlap",
                None,
                Some(before),
                Some(until(after)),
                KeyState::Revoked,
            ),
        ];

        for (name, expires_at, revoked_at, rotation, expected) in cases {
            let key = ApiKeyRecord {
                expires_at,
                revoked_at,
                rotation,
                ..record()
            };

            assert_eq!(key.state(T), expected, "{name}");
        }
    }

    #[test]
    fn a_rotated_key_shows_the_end_of_its_overlap_as_its_revocation_once_it_is_over() {
        let end = T.plus(Duration::from_mins(1));
        let key = ApiKeyRecord {
            rotation: Some(until(end)),
            ..record()
        };
        let revoked = ApiKeyRecord {
            revoked_at: Some(T),
            ..key.clone()
        };

        assert_eq!(key.ended_at(T), None);
        assert_eq!(key.ended_at(end), Some(end));
        assert_eq!(revoked.ended_at(end), Some(T));
    }

    #[test]
    fn the_sooner_of_expiry_and_overlap_ends_a_key() {
        let later = T.plus(Duration::from_mins(1));
        let cases = [
            (None, None, None),
            (Some(T), None, Some(T)),
            (None, Some(until(T)), Some(T)),
            (Some(later), Some(until(T)), Some(T)),
            (Some(T), Some(until(later)), Some(T)),
        ];

        for (expires_at, rotation, expected) in cases {
            let key = ApiKeyRecord {
                expires_at,
                rotation,
                ..record()
            };

            assert_eq!(key.lives_until(), expected);
        }
    }

    #[test]
    fn a_key_may_do_no_more_than_its_owner_may_now() {
        let was_an_admin = ApiKeyRecord {
            scopes: [Scope::AdminWrite, Scope::QueryRun].into_iter().collect(),
            ..record()
        };

        let now = was_an_admin.effective_scopes(ScopeSet::of_roles(&[Role::User]));

        assert_eq!(now.to_string(), "query:run");
    }

    #[test]
    fn a_key_is_used_only_from_where_its_list_says() {
        let key = ApiKeyRecord {
            allowed_cidrs: CidrList::new(["192.0.2.0/24".parse().unwrap()]).unwrap(),
            ..record()
        };

        assert!(key.allows("192.0.2.7".parse().unwrap()));
        assert!(!key.allows("198.51.100.7".parse().unwrap()));
    }

    #[test]
    fn a_name_is_trimmed_and_has_one_to_a_hundred_characters() {
        let longest = "ä".repeat(100);
        let cases = [
            (" CI\n", Ok("CI")),
            (&longest, Ok(longest.as_str())),
            ("", Err(InvalidKeyName::Empty)),
            (" \t ", Err(InvalidKeyName::Empty)),
            (&format!("{longest}!"), Err(InvalidKeyName::TooLong)),
            ("C\u{0}I", Err(InvalidKeyName::ControlCharacter)),
            ("C\nI", Err(InvalidKeyName::ControlCharacter)),
        ];

        for (text, expected) in cases {
            let name = text.parse::<KeyName>();

            assert_eq!(
                name.as_ref().map(KeyName::as_str),
                expected.as_ref().copied()
            );
        }
    }

    #[test]
    fn limits_lie_within_others_when_each_of_those_is_there_and_no_higher() {
        let limits = |hour, day, month| KeyLimits { hour, day, month };
        let outer = limits(Some(10), None, Some(1_000));
        let cases = [
            (limits(Some(10), None, Some(1_000)), true),
            (limits(Some(0), Some(5), Some(999)), true),
            (limits(Some(11), None, Some(1_000)), false),
            (limits(Some(10), None, Some(1_001)), false),
            (limits(None, Some(5), Some(1_000)), false),
            (limits(Some(10), Some(5), None), false),
            (KeyLimits::NONE, false),
        ];

        for (inner, expected) in cases {
            assert_eq!(inner.lie_within(&outer), expected, "{inner:?}");
            assert!(inner.lie_within(&KeyLimits::NONE));
        }
        let of_the_day = limits(None, Some(5), None);
        assert!(!limits(None, Some(6), None).lie_within(&of_the_day));
    }

    #[test]
    fn keys_that_are_older_than_the_revocation_of_all_are_revoked_by_it_or_were_before() {
        let (before, after) = (
            T.minus(Duration::from_millis(1)),
            T.plus(Duration::from_millis(1)),
        );
        let revoked = |generation| Some(KeysRevoked { generation, at: T });
        let cases = [
            (0, None, None, None),
            (0, None, revoked(1), Some(T)),
            (1, None, revoked(1), None),
            (1, None, revoked(2), Some(T)),
            (0, Some(before), revoked(1), Some(before)),
            (0, Some(after), revoked(1), Some(T)),
            (1, Some(after), revoked(1), Some(after)),
        ];

        for (generation, revoked_at, all, expected) in cases {
            let key = ApiKeyRecord {
                revoked_at,
                generation,
                ..record()
            };

            assert_eq!(key.under(all).revoked_at, expected, "{generation} {all:?}");
        }
    }
}
