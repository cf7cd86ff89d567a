//! The chain: how an entry of the log is bound to its place and to all entries before it.
//!
//! Each hash is an HMAC-SHA-256 (RFC 2104) over the entry's number, the hash before it and the
//! entry's text, so nobody without the key can make, alter or move an entry. The head says how long
//! the chain is and is sealed under a key of its own, so its end cannot be moved either. Who can put
//! back an older head *and* cut off what came after it is seen by nothing in here: that head was
//! true once.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::auth::StageSecret;
use crate::ids::AuditId;

/// What binds an entry to its place, shown in base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands for the hash before the first entry.
    pub const NONE: Self = Self([0; 32]);
}

/// What was given is not a hash of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of the audit log")]
pub struct InvalidHash;

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidHash)?;
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a chain ends: how many entries it has, and the hash of the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub count: u64,
    pub hash: ChainHash,
}

impl Head {
    /// The end of a chain without entries.
    pub const START: Self = Self {
        count: 0,
        hash: ChainHash::NONE,
    };
}

/// An entry in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its number, from 1 on.
    pub sequence: u64,
    /// The entry as it was written: the hash is over these very characters.
    pub text: String,
    pub previous: ChainHash,
    pub hash: ChainHash,
}

impl Link {
    /// The end of a chain whose last entry this is.
    pub fn as_head(&self) -> Head {
        Head {
            count: self.sequence,
            hash: self.hash,
        }
    }

    /// The entry's id, as far as its text can be read.
    pub fn id(&self) -> Option<AuditId> {
        #[derive(Deserialize)]
        struct Named {
            id: AuditId,
        }
        let named = serde_json::from_str::<Named>(&self.text);
        named.ok().map(|named| named.id)
    }
}

/// The keys of the chain.
pub struct ChainKey {
    entries: hmac::Key,
    head: hmac::Key,
}

impl ChainKey {
    pub fn new(secret: &StageSecret) -> Self {
        Self {
            entries: secret.hmac_key("audit-entry"),
            head: secret.hmac_key("audit-head"),
        }
    }

    /// Puts one more entry behind the end of a chain.
    pub fn append(&self, head: &Head, text: String) -> Link {
        let sequence = head.count + 1;
        let hash = sign(&self.entries, &entry_message(sequence, head.hash, &text));
        Link {
            sequence,
            text,
            previous: head.hash,
            hash,
        }
    }

    /// Whether an entry was put in this place by who holds the key.
    pub fn made(&self, link: &Link) -> bool {
        let message = entry_message(link.sequence, link.previous, &link.text);
        hmac::verify(&self.entries, &message, &link.hash.0).is_ok()
    }

    /// What proves that a chain has ended here once.
    pub fn seal(&self, head: &Head) -> ChainHash {
        sign(&self.head, &head_message(head))
    }

    /// Whether a chain has ended here once.
    pub fn sealed(&self, head: &Head, seal: ChainHash) -> bool {
        hmac::verify(&self.head, &head_message(head), &seal.0).is_ok()
    }
}

fn sign(key: &hmac::Key, message: &[u8]) -> ChainHash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hmac::sign(key, message).as_ref());
    ChainHash(bytes)
}

/// Two parts of fixed length, then the text's length and the text: no two entries read alike.
fn entry_message(sequence: u64, previous: ChainHash, text: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(48 + text.len());
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(&previous.0);
    message.extend_from_slice(&(text.len() as u64).to_be_bytes());
    message.extend_from_slice(text.as_bytes());
    message
}

fn head_message(head: &Head) -> Vec<u8> {
    let mut message = head.count.to_be_bytes().to_vec();
    message.extend_from_slice(&head.hash.0);
    message
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::audit) fn key() -> ChainKey {
        ChainKey::new(&StageSecret::new(&"0123456789abcdef0123456789abcdef".into()).unwrap())
    }

    #[test]
    fn an_entry_is_bound_to_its_text_its_number_and_what_stands_before_it() {
        let key = key();
        let first = key.append(&Head::START, "one".to_owned());
        let second = key.append(&first.as_head(), "two".to_owned());

        assert!(key.made(&first) && key.made(&second));
        assert_eq!((second.sequence, second.previous), (2, first.hash));
        let altered = [
            Link {
                text: "twO".to_owned(),
                ..second.clone()
            },
            Link {
                sequence: 3,
                ..second.clone()
            },
            Link {
                previous: second.hash,
                ..second.clone()
            },
            Link {
                hash: first.hash,
                ..second.clone()
            },
        ];
        for link in altered {
            assert!(!key.made(&link), "{link:?}");
        }
    }

    #[test]
    fn a_seal_is_of_one_end_and_no_entrys_hash_is_one() {
        let key = key();
        let link = key.append(&Head::START, String::new());
        let head = link.as_head();

        let seal = key.seal(&head);

        assert!(key.sealed(&head, seal));
        assert!(!key.sealed(&Head { count: 2, ..head }, seal));
        assert!(!key.sealed(&Head::START, seal));
        assert!(!key.sealed(&head, link.hash));
    }

    #[test]
    fn a_hash_reads_back_as_itself() {
        let hash = key().seal(&Head::START);

        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("short".parse::<ChainHash>(), Err(InvalidHash));
    }

    #[test]
    fn an_entry_is_named_by_its_text() {
        let id = AuditId::new(crate::clock::Timestamp::from_millis(1));
        let link = |text: String| key().append(&Head::START, text);

        assert_eq!(link(format!(r#"{{"id":"{id}","at":1}}"#)).id(), Some(id));
        assert_eq!(link("{}".to_owned()).id(), None);
    }
}
