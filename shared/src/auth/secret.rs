//! The secret of a stage, and the keys derived from it.

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use secrecy::{ExposeSecret, SecretString};

/// The shortest secret that is taken, in characters: 32 alphanumeric ones carry 190 bits.
const MIN_CHARS: usize = 32;

/// The secret is too short to derive keys from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret has fewer than 32 characters")]
pub struct SecretTooShort;

/// A secret that only one function of a stage holds. Each use has a key of its own, derived by
/// HKDF-SHA-256 (RFC 5869), so that what one key signs no other verifies.
pub struct StageSecret(hkdf::Prk);

impl StageSecret {
    pub fn new(secret: &SecretString) -> Result<Self, SecretTooShort> {
        let secret = secret.expose_secret();
        if secret.chars().count() < MIN_CHARS {
            return Err(SecretTooShort);
        }
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"turnpike");
        Ok(Self(salt.extract(secret.as_bytes())))
    }

    /// The HMAC-SHA-256 key for `label`.
    pub fn hmac_key(&self, label: &'static str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.bytes(label))
    }

    /// The AES-256-GCM key for `label`. Its nonces are random, so it seals up to 2^32 texts (NIST SP
    /// 800-38D, section 8.3).
    #[expect(
        clippy::missing_panics_doc,
        reason = "a key of the cipher's own length does not panic"
    )]
    pub fn sealing_key(&self, label: &'static str) -> RandomizedNonceKey {
        #[expect(clippy::expect_used, reason = "32 bytes are the cipher's key length")]
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes(label))
            .expect("AES-256 takes keys of 32 bytes")
    }

    fn bytes(&self, label: &'static str) -> [u8; 32] {
        let mut bytes = [0; 32];
        let info = [label.as_bytes()];
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are within what HKDF-SHA-256 can give"
        )]
        self.0
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|key| key.fill(&mut bytes))
            .expect("HKDF-SHA-256 gives up to 8,160 bytes");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_labels_do_not_verify_each_other() {
        let secret = StageSecret::new(&"0123456789abcdef0123456789abcdef".into()).unwrap();
        let tag = hmac::sign(&secret.hmac_key("one"), b"message");

        assert!(hmac::verify(&secret.hmac_key("one"), b"message", tag.as_ref()).is_ok());
        assert!(hmac::verify(&secret.hmac_key("two"), b"message", tag.as_ref()).is_err());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(StageSecret::new(&"0123456789abcdef".into()).is_err());
    }
}
