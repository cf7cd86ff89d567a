//! The keys that sign access tokens, and the set of public ones that others verify with.
//!
//! Keys are kept as a document `{"issuer": "<origin>", "keys": [{"private_key": "<PKCS #8 PEM>",
//! "published_at": "<RFC 3339>"}]}`. It names the stage that it was made for, so that no stage
//! signs with another's keys. A key is named by its thumbprint (RFC 7638).

use std::fmt;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::KeySet;
use crate::clock::Timestamp;

/// How long a key is published before it signs: others may hold a key set for up to 2 hours.
pub const PUBLISHED_BEFORE_USE: Duration = Duration::from_hours(3);

/// The signature algorithm of a stage (RFC 7518, section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256: what API Gateway's own JWT authorizers take.
    RS256,
    /// ECDSA on P-256 with SHA-256: smaller and quicker to sign.
    ES256,
}

impl Algorithm {
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
        }
    }

    pub(super) const fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// Why a document of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeys {
    #[error("not a document of signing keys")]
    Malformed(#[source] serde_json::Error),
    #[error("there is no key in the document")]
    Empty,
    #[error("a private key does not fit the algorithm {}", .0.name())]
    WrongKind(Algorithm),
    #[error("a key could not be made")]
    Generation,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    private_key: String,
    published_at: Timestamp,
}

struct SigningKey {
    kid: String,
    private: EncodingKey,
    jwk: Jwk,
    published_at: Timestamp,
}

/// The keys of one stage.
pub struct SigningKeys {
    algorithm: Algorithm,
    issuer: Option<String>,
    keys: Vec<SigningKey>,
    public: KeySet,
}

impl SigningKeys {
    /// Reads a document of keys, and checks that each fits `algorithm` (RFC 8725, section 3.1).
    pub fn parse(document: &SecretString, algorithm: Algorithm) -> Result<Self, InvalidKeys> {
        let document: Document =
            serde_json::from_str(document.expose_secret()).map_err(InvalidKeys::Malformed)?;
        let keys: Vec<SigningKey> = document
            .keys
            .iter()
            .map(|key| SigningKey::read(key, algorithm).ok_or(InvalidKeys::WrongKind(algorithm)))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            Err(InvalidKeys::Empty)
        } else {
            let public = keys.iter().map(|key| key.jwk.clone()).collect();
            Ok(Self {
                algorithm,
                issuer: document.issuer,
                public: KeySet::new(algorithm, public)
                    .map_err(|_| InvalidKeys::WrongKind(algorithm))?,
                keys,
            })
        }
    }

    /// A document with one new key. The first key of a stage signs at once: nobody can hold an
    /// older set.
    pub fn generate(
        algorithm: Algorithm,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<SecretString, InvalidKeys> {
        let der = match algorithm {
            Algorithm::RS256 => rsa::KeyPair::generate(rsa::KeySize::Rsa2048)
                .and_then(|pair| AsDer::as_der(&pair))
                .map(|der: aws_lc_rs::encoding::Pkcs8V1Der<'_>| der.as_ref().to_vec()),
            Algorithm::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|der| der.as_ref().to_vec()),
        };
        let private_key = pem(&der.map_err(|_| InvalidKeys::Generation)?);
        let document = Document {
            issuer: issuer.map(str::to_owned),
            keys: vec![StoredKey {
                private_key,
                published_at: now,
            }],
        };
        serde_json::to_string(&document)
            .map(Into::into)
            .map_err(InvalidKeys::Malformed)
    }

    /// The stage that the keys were made for; development does without.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public keys.
    pub fn public(&self) -> &KeySet {
        &self.public
    }

    /// The key that signs now: the newest that has been published long enough, else the oldest.
    pub(super) fn current(&self, now: Timestamp) -> (&str, &EncodingKey) {
        let is_ripe = |key: &&SigningKey| key.published_at.plus(PUBLISHED_BEFORE_USE) <= now;
        let newest_ripe = self
            .keys
            .iter()
            .filter(is_ripe)
            .max_by_key(|key| key.published_at);
        let oldest = || self.keys.iter().min_by_key(|key| key.published_at);
        #[expect(clippy::expect_used, reason = "parse refuses an empty document")]
        let key = newest_ripe
            .or_else(oldest)
            .expect("there is at least one key");
        (&key.kid, &key.private)
    }
}

impl SigningKey {
    fn read(stored: &StoredKey, algorithm: Algorithm) -> Option<Self> {
        let pem = stored.private_key.as_bytes();
        let private = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
        };
        let private = private.ok()?;
        let mut jwk = Jwk::from_encoding_key(&private, algorithm.jwt()).ok()?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Some(Self {
            kid,
            private,
            jwk,
            published_at: stored.published_at,
        })
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<&str> = self.keys.iter().map(|key| key.kid.as_str()).collect();
        f.debug_struct("SigningKeys")
            .field("kids", &kids)
            .finish_non_exhaustive()
    }
}

/// Textual encoding of a PKCS #8 key (RFC 7468, section 10).
fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (index, character) in base64.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn document(published: &[Timestamp]) -> SecretString {
        let keys = published.iter().flat_map(|at| {
            let one = SigningKeys::generate(Algorithm::ES256, None, *at).unwrap();
            serde_json::from_str::<Document>(one.expose_secret())
                .unwrap()
                .keys
        });
        serde_json::to_string(&Document {
            issuer: None,
            keys: keys.collect(),
        })
        .unwrap()
        .into()
    }

    #[test]
    fn generated_keys_of_either_kind_are_read_back_and_shown_without_their_private_part() {
        for algorithm in [Algorithm::RS256, Algorithm::ES256] {
            let document = SigningKeys::generate(algorithm, None, T).unwrap();

            let keys = SigningKeys::parse(&document, algorithm).unwrap();

            let shown = serde_json::to_value(keys.public().public()).unwrap();
            let members: Vec<&String> = shown[0].as_object().unwrap().keys().collect();
            assert_eq!(shown[0]["alg"], algorithm.name());
            assert_eq!(shown[0]["use"], "sig");
            assert!(
                ["d", "p", "q", "dp", "dq", "qi"]
                    .iter()
                    .all(|p| !members.contains(&&p.to_string()))
            );
        }
    }

    #[test]
    fn a_key_of_another_kind_than_the_algorithm_is_refused() {
        let document = SigningKeys::generate(Algorithm::ES256, None, T).unwrap();

        let read = SigningKeys::parse(&document, Algorithm::RS256);

        assert!(matches!(
            read,
            Err(InvalidKeys::WrongKind(Algorithm::RS256))
        ));
    }

    #[test]
    fn a_new_key_is_published_at_once_and_signs_three_hours_later() {
        let old = T.minus(Duration::from_hours(1000));
        let keys = SigningKeys::parse(&document(&[old, T]), Algorithm::ES256).unwrap();
        let kid_of = |at| {
            keys.keys
                .iter()
                .find(|key| key.published_at == at)
                .unwrap()
                .kid
                .as_str()
        };

        let before = keys.current(T.plus(Duration::from_mins(179))).0;
        let after = keys.current(T.plus(Duration::from_hours(3))).0;

        assert_eq!(keys.public().public().len(), 2);
        assert_eq!(before, kid_of(old));
        assert_eq!(after, kid_of(T));
    }

    #[test]
    fn the_first_key_of_a_stage_signs_at_once() {
        let keys = SigningKeys::parse(&document(&[T]), Algorithm::ES256).unwrap();

        assert_eq!(keys.current(T).0, keys.keys[0].kid);
    }
}
