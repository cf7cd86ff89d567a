//! The signing keys, read anew every ten minutes, so that a rotation needs no deployment.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use turnpike_shared::auth::SigningKeys;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{Environment, KeysConfig, SecretSource};
use turnpike_shared::stores::read_secret;

use crate::StartError;

const REREAD_AFTER: Duration = Duration::from_mins(10);
/// After a failure the keys at hand go on, and the next request a while later tries again.
const RETRY_AFTER: Duration = Duration::from_mins(1);

pub(crate) struct KeyRing {
    env: Environment,
    config: KeysConfig,
    clock: Clock,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    keys: Arc<SigningKeys>,
    reread_at: Timestamp,
}

impl KeyRing {
    pub(crate) async fn load(
        env: Environment,
        config: KeysConfig,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let keys = Arc::new(read(&env, &config).await?);
        let reread_at = clock.now().plus(REREAD_AFTER);
        Ok(Self {
            env,
            config,
            clock,
            loaded: RwLock::new(Loaded { keys, reread_at }),
        })
    }

    /// The keys in force.
    pub(crate) async fn current(&self) -> Arc<SigningKeys> {
        if self.claim_reread() {
            match read(&self.env, &self.config).await {
                Ok(keys) => {
                    let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
                    loaded.keys = Arc::new(keys);
                    loaded.reread_at = self.clock.now().plus(REREAD_AFTER);
                }
                Err(error) => {
                    tracing::error!(cause = %error, "the signing keys could not be read anew");
                }
            }
        }
        Arc::clone(
            &self
                .loaded
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .keys,
        )
    }

    /// Whether it is this caller's turn to read the keys anew; nobody else's until that failed.
    fn claim_reread(&self) -> bool {
        if matches!(self.config.signing_keys, SecretSource::Inline(_)) {
            return false;
        }
        let now = self.clock.now();
        let is_due = |loaded: &Loaded| loaded.reread_at <= now;
        if !is_due(&self.loaded.read().unwrap_or_else(PoisonError::into_inner)) {
            return false;
        }
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let is_mine = is_due(&loaded);
        if is_mine {
            loaded.reread_at = now.plus(RETRY_AFTER);
        }
        is_mine
    }
}

async fn read(env: &Environment, config: &KeysConfig) -> Result<SigningKeys, StartError> {
    let document = read_secret(env, &config.signing_keys).await?;
    Ok(SigningKeys::parse(&document, config.algorithm)?)
}
