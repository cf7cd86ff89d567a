//! One-time tokens, as mails carry them: 256 random bits, stored only as their SHA-256.

use std::time::Duration;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// What a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    VerifyEmail,
    ResetPassword,
}

impl Purpose {
    /// How long a token for this lives.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::from_hours(24),
            Self::ResetPassword => Duration::from_hours(1),
        }
    }
}

/// A token, secret, as it goes into a mail and comes back.
pub struct OneTimeToken(SecretString);

impl OneTimeToken {
    pub fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<32>()).into())
    }

    /// What was presented as a token. Any text is one: it is looked up by its digest.
    pub fn presented(text: SecretString) -> Self {
        Self(text)
    }

    pub fn digest(&self) -> TokenDigest {
        TokenDigest(sha256_base64(self.0.expose_secret().as_bytes()))
    }

    /// The token itself, for the mail.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is stored of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenDigest(String);

impl TokenDigest {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of `bytes`, in base64url without padding.
pub fn sha256_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

/// Bytes that nobody can guess.
///
/// # Panics
///
/// When the system has no randomness to give; nothing may go on without it.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness nothing may go on")]
    rand::fill(&mut bytes).expect("the system's source of randomness answers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_is_found_again_by_its_digest() {
        let token = OneTimeToken::generate();

        let presented = OneTimeToken::presented(token.expose().into());

        assert_eq!(token.expose().len(), 43);
        assert_eq!(presented.digest(), token.digest());
        assert_ne!(OneTimeToken::generate().digest(), token.digest());
        assert!(!token.digest().as_str().contains(token.expose()));
    }
}
