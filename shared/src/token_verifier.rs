//! Verifies access tokens with the keys that `auth` has published, in functions that hold none.
//!
//! A key that is not known yet is looked for at once, but not oftener than once in a while, so
//! that tokens with made-up names cost nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;

use crate::auth::access_token::key_name_of;
use crate::auth::{Claims, KeySet, TokenProfile};
use crate::clock::{Clock, Timestamp};
use crate::errors::chain;
use crate::stores::{StoreError, UserStore};

/// How long a set is used.
const REREAD_AFTER: Duration = Duration::from_mins(10);
/// How soon after a read another may be made for a key that is not in the set.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The published keys, and whose tokens they verify.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Inner>);

struct Inner {
    store: UserStore,
    profile: TokenProfile,
    clock: Clock,
    loaded: Mutex<Loaded>,
    /// Held by whoever reads, so that the others wait for what it brings.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Loaded {
    keys: Option<Arc<KeySet>>,
    read_at: Option<Timestamp>,
}

/// A set of keys, if any was ever read.
enum AtHand {
    Current(Option<Arc<KeySet>>),
    Due(Option<Arc<KeySet>>),
}

impl TokenVerifier {
    pub fn new(store: UserStore, issuer: &str, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            store,
            profile: TokenProfile::new(issuer),
            clock,
            loaded: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }))
    }

    /// The claims of a good token; `None` for any other.
    pub async fn verify(&self, token: &SecretString) -> Result<Option<Claims>, StoreError> {
        let Some(kid) = key_name_of(token) else {
            return Ok(None);
        };
        let Some(keys) = self.keys_with(&kid).await? else {
            return Ok(None);
        };
        let now = self.0.clock.now();
        Ok(self.0.profile.verify(&keys, token, now).ok())
    }

    /// The set, read anew if that is due or the key is not in it.
    async fn keys_with(&self, kid: &str) -> Result<Option<Arc<KeySet>>, StoreError> {
        if let AtHand::Current(keys) = self.at_hand(kid) {
            return Ok(keys);
        }
        let _reading = self.0.reading.lock().await;
        let old = match self.at_hand(kid) {
            AtHand::Current(keys) => return Ok(keys),
            AtHand::Due(old) => old,
        };
        match self.read().await {
            Ok(read) => {
                let mut loaded = self.lock();
                loaded.read_at = Some(self.0.clock.now());
                if let Some(read) = read {
                    loaded.keys = Some(Arc::new(read));
                }
                Ok(loaded.keys.clone())
            }
            // What is at hand still verifies what it can.
            Err(error) if old.is_some() => {
                self.lock().read_at = Some(self.0.clock.now());
                tracing::warn!(
                    cause = chain(&error),
                    "the public keys could not be read anew"
                );
                Ok(old)
            }
            Err(error) => Err(error),
        }
    }

    /// What was read last, and whether it is time to read again.
    fn at_hand(&self, kid: &str) -> AtHand {
        let loaded = self.lock();
        let age = loaded.read_at.map(|at| self.0.clock.now().since(at));
        let has_it = loaded.keys.as_ref().is_some_and(|keys| keys.has(kid));
        let patience = if has_it { REREAD_AFTER } else { RETRY_AFTER };
        if age.is_none_or(|age| age >= patience) {
            AtHand::Due(loaded.keys.clone())
        } else {
            AtHand::Current(loaded.keys.clone())
        }
    }

    async fn read(&self) -> Result<Option<KeySet>, StoreError> {
        let Some(document) = self.0.store.key_set().await? else {
            return Ok(None);
        };
        match KeySet::parse(&document) {
            Ok(keys) => Ok(Some(keys)),
            Err(error) => {
                tracing::error!(cause = chain(&error), "the published keys cannot be used");
                Ok(None)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
