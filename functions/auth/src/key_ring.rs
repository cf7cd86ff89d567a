//! The signing keys, read anew every ten minutes, so that a rotation needs no deployment.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use turnpike_shared::auth::SigningKeys;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{Environment, KeysConfig, SecretSource, StageConfig};
use turnpike_shared::errors::chain;
use turnpike_shared::stores::{UserStore, read_secret};

use crate::StartError;

const REREAD_AFTER: Duration = Duration::from_mins(10);
/// After a failure the keys at hand go on, and the next request a while later tries again.
const RETRY_AFTER: Duration = Duration::from_mins(1);

pub(crate) struct KeyRing {
    env: Environment,
    config: KeysConfig,
    stage: StageConfig,
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
        stage: StageConfig,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let keys = Arc::new(read(&env, &config, &stage).await?);
        let reread_at = clock.now().plus(REREAD_AFTER);
        Ok(Self {
            env,
            config,
            stage,
            clock,
            loaded: RwLock::new(Loaded { keys, reread_at }),
        })
    }

    /// Tells every other function the public keys. Whoever cannot be told now is told at the next
    /// start or reading, and by then has the older keys, which still sign.
    pub(crate) async fn publish(&self, users: &UserStore) {
        let keys = self.at_hand();
        let published = match keys.public().document() {
            Ok(document) => users
                .publish_key_set(&document)
                .await
                .map_err(|error| chain(&error)),
            Err(error) => Err(chain(&error)),
        };
        if let Err(cause) = published {
            tracing::error!(cause, "the public keys could not be published");
        }
    }

    /// The keys in force.
    pub(crate) async fn current(&self) -> Arc<SigningKeys> {
        if self.claim_reread() {
            match read(&self.env, &self.config, &self.stage).await {
                Ok(keys) => {
                    let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
                    loaded.keys = Arc::new(keys);
                    loaded.reread_at = self.clock.now().plus(REREAD_AFTER);
                }
                Err(error) => {
                    tracing::error!(
                        cause = chain(&error),
                        "the signing keys could not be read anew"
                    );
                }
            }
        }
        self.at_hand()
    }

    fn at_hand(&self) -> Arc<SigningKeys> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&loaded.keys)
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

/// Reads the keys, and refuses those of another stage.
async fn read(
    env: &Environment,
    config: &KeysConfig,
    stage: &StageConfig,
) -> Result<SigningKeys, StartError> {
    let document = read_secret(env, &config.signing_keys).await?;
    let keys = SigningKeys::parse(&document, config.algorithm)?;
    let fits = match keys.issuer() {
        Some(issuer) => issuer == stage.issuer,
        None => !stage.stage.is_deployed(),
    };
    if fits {
        Ok(keys)
    } else {
        Err(StartError::KeysOfAnotherStage)
    }
}
