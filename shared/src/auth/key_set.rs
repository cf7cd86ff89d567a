//! The public keys of a stage, with which every function verifies access tokens.

use std::fmt;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde::{Deserialize, Serialize};

use super::Algorithm;
use super::verified_tokens::VerifiedTokens;

/// A document of public keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeySet {
    #[error("not a document of public keys")]
    Malformed(#[from] serde_json::Error),
    #[error("a key cannot be used")]
    Key(#[from] jsonwebtoken::errors::Error),
}

/// Public keys by their names, all of one algorithm.
pub struct KeySet {
    algorithm: Algorithm,
    keys: Vec<(String, Jwk, DecodingKey)>,
    verified: VerifiedTokens,
}

/// The form in which a set is handed on.
#[derive(Serialize, Deserialize)]
struct Document {
    algorithm: Algorithm,
    keys: Vec<Jwk>,
}

impl KeySet {
    /// A set of these keys; each is named by its thumbprint (RFC 7638).
    pub fn new(algorithm: Algorithm, keys: Vec<Jwk>) -> Result<Self, InvalidKeySet> {
        let read = |jwk: Jwk| {
            let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
            let key = DecodingKey::from_jwk(&jwk)?;
            Ok((kid, jwk, key))
        };
        Ok(Self {
            algorithm,
            keys: keys
                .into_iter()
                .map(read)
                .collect::<Result<_, InvalidKeySet>>()?,
            verified: VerifiedTokens::default(),
        })
    }

    /// Reads a set as [`KeySet::document`] wrote it.
    pub fn parse(document: &str) -> Result<Self, InvalidKeySet> {
        let Document { algorithm, keys } = serde_json::from_str(document)?;
        Self::new(algorithm, keys)
    }

    /// The set as text, for whoever hands it on.
    pub fn document(&self) -> Result<String, InvalidKeySet> {
        let document = Document {
            algorithm: self.algorithm,
            keys: self.public().into_iter().cloned().collect(),
        };
        Ok(serde_json::to_string(&document)?)
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The keys, as `/.well-known/jwks.json` shows them (RFC 7517).
    pub fn public(&self) -> Vec<&Jwk> {
        self.keys.iter().map(|(_, jwk, _)| jwk).collect()
    }

    /// Whether a key of this name is in it.
    pub fn has(&self, kid: &str) -> bool {
        self.key(kid).is_some()
    }

    /// What these keys have verified.
    pub(super) fn verified(&self) -> &VerifiedTokens {
        &self.verified
    }

    pub(super) fn key(&self, kid: &str) -> Option<&DecodingKey> {
        let found = self.keys.iter().find(|(name, _, _)| name == kid);
        found.map(|(_, _, key)| key)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<&str> = self.keys.iter().map(|(kid, _, _)| kid.as_str()).collect();
        f.debug_struct("KeySet")
            .field("kids", &kids)
            .finish_non_exhaustive()
    }
}
