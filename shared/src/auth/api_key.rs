//! API keys: `tp_live_` or `tp_test_`, 32 random characters of base62, and 6 more that are their
//! checksum.
//!
//! This file owns the secret itself: how it is made, what looks like one, and what of it may be
//! stored. The checksum refuses what was mistyped or made up before anything is looked up; it
//! authenticates nobody. What is known of a key is in [`record`], from where it may be used in
//! [`networks`], who may give whom which key in [`grant`], what becomes of all keys of a user in
//! [`ring`], how requests state all that in [`fields`].

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::one_time_token::random_bytes;

pub mod fields;
pub mod grant;
pub mod networks;
pub mod record;
pub mod ring;

/// What scanners look for where no key should be; `docs/security.md` shows it to operators. The
/// checksum is below 2^32, so its first digit is at most 4. There is no boundary at either end: a
/// key in the middle of a longer word is a leak too.
pub const LEAKED_KEY_PATTERN: &str = "tp_(live|test)_[0-9A-Za-z]{32}[0-4][0-9A-Za-z]{5}";

/// The digits of base62, in the order of their values.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The characters of `tp_live_`.
const KIND_CHARS: usize = 8;
/// The random characters: 32 of base62 carry 190 bits.
const BODY_CHARS: usize = 32;
/// 62^6 is the first power of 62 beyond 2^32.
const CHECKSUM_CHARS: usize = 6;
const KEY_CHARS: usize = KIND_CHARS + BODY_CHARS + CHECKSUM_CHARS;
/// How much of a key its owner is shown to tell it from others: the kind and 4 random characters,
/// which leave 166 bits unknown.
const PREFIX_CHARS: usize = 12;

/// What was given does not have the form of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct InvalidApiKey;

/// Whether a key opens production or only a place to try things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    Live,
    Test,
}

impl KeyKind {
    /// What keys of this kind begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "tp_live_",
            Self::Test => "tp_test_",
        }
    }
}

/// A key, secret: well formed, its checksum good. Whether anybody holds it is for the store to say.
#[derive(Debug)]
pub struct ApiKey {
    kind: KeyKind,
    text: SecretString,
}

impl ApiKey {
    /// A key that nobody has had before.
    pub fn generate(kind: KeyKind) -> Self {
        Self::from_random(kind, random_bytes::<64>)
    }

    /// Each byte from `source` gives a character or is passed over: 248 is the last multiple of 62
    /// that a byte reaches, and a remainder of more would favour the first digits.
    fn from_random(kind: KeyKind, mut source: impl FnMut() -> [u8; 64]) -> Self {
        const UNBIASED: u8 = 248;
        // The capacity is the length, so that no copy of the secret is left behind by growing.
        let mut text = String::with_capacity(KEY_CHARS);
        text.push_str(kind.prefix());
        while text.len() < KIND_CHARS + BODY_CHARS {
            let missing = KIND_CHARS + BODY_CHARS - text.len();
            let bytes = source();
            let digits = bytes.iter().filter(|byte| **byte < UNBIASED);
            text.extend(digits.take(missing).map(|byte| digit(u32::from(*byte))));
        }
        let checksum = checksum(&text.as_bytes()[KIND_CHARS..]);
        text.extend(checksum.map(char::from));
        Self {
            kind,
            text: text.into(),
        }
    }

    /// Takes what has a key's length, prefix, alphabet and checksum; everything else is no key, and
    /// there is nothing to look up.
    pub fn parse(text: &SecretString) -> Result<Self, InvalidApiKey> {
        let text = text.expose_secret();
        if text.len() != KEY_CHARS {
            return Err(InvalidApiKey);
        }
        let (kind, rest) = [KeyKind::Live, KeyKind::Test]
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))
            .ok_or(InvalidApiKey)?;
        let (body, stated) = rest.as_bytes().split_at(BODY_CHARS);
        // Not in constant time: whoever sends the key can compute its checksum.
        if body.iter().all(u8::is_ascii_alphanumeric) && stated == checksum(body) {
            Ok(Self {
                kind,
                text: text.into(),
            })
        } else {
            Err(InvalidApiKey)
        }
    }

    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What the key is looked up by.
    pub fn digest(&self) -> KeyDigest {
        let digest = digest::digest(&digest::SHA256, self.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        KeyDigest(bytes)
    }

    /// The first 12 characters, by which its owner knows it again.
    pub fn prefix(&self) -> &str {
        &self.expose()[..PREFIX_CHARS]
    }

    /// The key itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The CRC-32 (IEEE) of `body` in base62, the most significant digit first.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for place in digits.iter_mut().rev() {
        *place = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn digit(value: u32) -> char {
    char::from(BASE62[(value % 62) as usize])
}

/// What is stored of a key: its SHA-256, shown in base64url without padding.
///
/// It is no secret: with 190 random bits in the key, nobody comes from the digest to the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

/// What was given is not the digest of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the digest of an API key")]
pub struct InvalidKeyDigest;

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

impl FromStr for KeyDigest {
    type Err = InvalidKeyDigest;

    fn from_str(text: &str) -> Result<Self, InvalidKeyDigest> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKeyDigest)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKeyDigest)
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
