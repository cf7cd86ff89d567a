//! The signing keys, read anew every ten minutes, so that a rotation needs no deployment, and each
//! time published for the functions that verify tokens and hold no keys.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::timeout;
use turnpike_shared::auth::SigningKeys;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{Environment, KeysConfig, SecretSource, StageConfig};
use turnpike_shared::errors::chain;
use turnpike_shared::stores::{UserStore, read_secret};

use crate::StartError;

const REREAD_AFTER: Duration = Duration::from_mins(10);
/// After a failure the keys at hand go on, and the next request a while later tries again.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// What the start may lose to publishing: a connection (1 s at most), a look and a write.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// What a request may lose to it.
const REREAD_PATIENCE: Duration = Duration::from_millis(250);

pub(crate) struct KeyRing {
    env: Environment,
    config: KeysConfig,
    stage: StageConfig,
    users: UserStore,
    clock: Clock,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    keys: Arc<SigningKeys>,
    is_published: bool,
    reread_at: Timestamp,
}

impl KeyRing {
    /// Reads the keys and publishes them in `users`. Without keys there is no start; without
    /// having published them there is.
    pub(crate) async fn load(
        env: Environment,
        config: KeysConfig,
        stage: StageConfig,
        users: UserStore,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let keys = read(&env, &config, &stage).await?;
        let is_published = publish(&keys, &users, START_PATIENCE).await;
        let loaded = Loaded::new(keys, is_published, clock.now());
        Ok(Self {
            env,
            config,
            stage,
            users,
            clock,
            loaded: RwLock::new(loaded),
        })
    }

    /// The keys in force.
    pub(crate) async fn current(&self) -> Arc<SigningKeys> {
        if self.claim_reread() {
            match read(&self.env, &self.config, &self.stage).await {
                Ok(keys) => {
                    let is_published = publish(&keys, &self.users, REREAD_PATIENCE).await;
                    let anew = Loaded::new(keys, is_published, self.clock.now());
                    *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = anew;
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
        let now = self.clock.now();
        // A variable holds the same keys for as long as the process runs.
        let is_constant = matches!(self.config.signing_keys, SecretSource::Inline(_));
        let is_due =
            |loaded: &Loaded| loaded.reread_at <= now && !(is_constant && loaded.is_published);
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

impl Loaded {
    fn new(keys: SigningKeys, is_published: bool, now: Timestamp) -> Self {
        let patience = if is_published {
            REREAD_AFTER
        } else {
            RETRY_AFTER
        };
        Self {
            keys: Arc::new(keys),
            is_published,
            reread_at: now.plus(patience),
        }
    }
}

/// Tells every other function the public keys; whether that succeeded. Who cannot be told now is
/// told at the next reading, and by then has the older keys, which still sign.
async fn publish(keys: &SigningKeys, users: &UserStore, patience: Duration) -> bool {
    let published = match keys.public().document() {
        Ok(document) => match timeout(patience, users.publish_key_set(&document)).await {
            Ok(published) => published.map_err(|error| chain(&error)),
            Err(_) => Err("the database did not answer in time".to_owned()),
        },
        Err(error) => Err(chain(&error)),
    };
    if let Err(cause) = &published {
        tracing::error!(cause, "the public keys could not be published");
    }
    published.is_ok()
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
