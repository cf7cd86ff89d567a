//! Access tokens whose signature has been verified, so that it need not be for every request.
//!
//! A set of keys remembers what it has verified, so nothing outlives the keys that vouched for it.
//! What is remembered is found by the digest of the whole token: whatever has another byte was
//! never verified. Time and standing are none of this module's business and are asked about each
//! time.

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;

use super::Claims;
use super::access_token::ACCESS_TOKEN_LIFETIME;

/// The most tokens that are remembered; some 10 MB, and the least used go first.
const MAX_TOKENS: u64 = 10_000;

/// The claims of tokens, by the digests of the tokens.
pub(super) struct VerifiedTokens(Cache<TokenDigest, Claims>);

/// The SHA-256 of a token, all parts of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_live(ACCESS_TOKEN_LIFETIME)
                .build(),
        )
    }
}

impl VerifiedTokens {
    pub(super) fn get(&self, digest: TokenDigest) -> Option<Claims> {
        self.0.get(&digest)
    }

    pub(super) fn insert(&self, digest: TokenDigest, claims: Claims) {
        self.0.insert(digest, claims);
    }
}
