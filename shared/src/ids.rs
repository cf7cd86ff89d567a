//! Identifiers: a type prefix and a `UUIDv7` (RFC 9562, section 5.7) in simple hex.
//!
//! An id that parses is well formed ever after; one that does not is, in a path, a resource that
//! does not exist.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{NoContext, Uuid};

use crate::clock::Timestamp;

/// What stands where an id should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A new id that carries `at` in its first 48 bits and is random in the rest.
            pub fn new(at: Timestamp) -> Self {
                Self(uuid_v7(at))
            }

            /// The id in 22 characters of base64url, without its prefix: for where there are many.
            pub fn short(self) -> String {
                URL_SAFE_NO_PAD.encode(self.0.as_bytes())
            }

            /// The time that the id was made for.
            pub fn made_at(self) -> Timestamp {
                let millis = self.0.as_u128() >> 80;
                Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_uuid_v7(text.strip_prefix($prefix).ok_or(InvalidId)?).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A user: `usr_…`.
    UserId,
    "usr_"
);
id!(
    /// A signed-in session: `ses_…`.
    SessionId,
    "ses_"
);
id!(
    /// An API key: `key_…`. Names it; the key itself is secret.
    KeyId,
    "key_"
);
id!(
    /// An event: one in the outbox, or one of a user's behaviour: `evt_…`.
    EventId,
    "evt_"
);
id!(
    /// An entry of the audit log: `aud_…`.
    AuditId,
    "aud_"
);

id!(
    /// A query that a user asked: `qry_…`.
    QueryId,
    "qry_"
);

id!(
    /// A job: `job_…`.
    JobId,
    "job_"
);

id!(
    /// Usage records that are written down together: `bat_…`. Never shown.
    BatchId,
    "bat_"
);

impl UserId {
    /// The id without its prefix, in as little room as it needs.
    pub(crate) fn bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The id that [`Self::bytes`] were taken of.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Which of [`USER_SHARDS`] parts of all users this one belongs to. It comes from the id's random
    /// end, so the parts are of a size.
    pub fn shard(self) -> u8 {
        self.0.as_bytes()[15] % USER_SHARDS
    }
}

/// Into how many parts all users are cut, so that whoever goes through them can do it side by side.
pub const USER_SHARDS: u8 = 8;

/// A bare `UUIDv7` in simple hex, for request ids and token ids (`jti`).
pub fn unprefixed(at: Timestamp) -> String {
    uuid_v7(at).as_simple().to_string()
}

fn uuid_v7(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos))
}

fn parse_uuid_v7(hex: &str) -> Result<Uuid, InvalidId> {
    let is_simple_hex = hex.len() == 32
        && hex
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if !is_simple_hex {
        return Err(InvalidId);
    }
    let uuid = Uuid::try_parse(hex).map_err(|_| InvalidId)?;
    if uuid.get_version_num() == 7 {
        Ok(uuid)
    } else {
        Err(InvalidId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_itself_and_tells_its_time() {
        let at = Timestamp::from_millis(1_795_207_396_042);

        let id = SessionId::new(at);

        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.made_at(), at);
    }

    #[test]
    fn ids_of_one_moment_differ() {
        let at = Timestamp::from_millis(1_795_207_396_042);

        assert_ne!(UserId::new(at), UserId::new(at));
    }

    #[test]
    fn what_is_not_a_well_formed_id_is_refused() {
        let good = UserId::new(Timestamp::from_millis(1)).to_string();
        let cases = [
            String::new(),
            "usr_".into(),
            good.replace("usr_", "ses_"),
            good.to_uppercase(),
            format!("{good}0"),
            good[..good.len() - 1].into(),
            "usr_00000000000000000000000000000000".into(),
            "usr_c9a646d3-9c61-7cb7-bfcd-ee2522c8f633".into(),
            format!(" {good}"),
        ];

        for case in cases {
            assert_eq!(case.parse::<UserId>(), Err(InvalidId), "{case:?}");
        }
    }
}
