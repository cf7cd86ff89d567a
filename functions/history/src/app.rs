//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use turnpike_shared::admission::{AdmissionParts, SetupError};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig};
use turnpike_shared::stores::{HistoryStore, JobStore, UsageStore};
use turnpike_shared::web::{CursorKey, CursorSecretError, Foundation, cursor_secret};

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    CursorSecret(#[from] CursorSecretError),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

/// The state of the function.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    foundation: Foundation,
    usage: UsageStore,
    history: HistoryStore,
    jobs: JobStore,
    cursor_key: CursorKey,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let stage = StageConfig::read(&env)?;
        let work_table = config::work_table(&env)?;
        let dynamodb = parts.dynamodb.clone();
        let (secret, foundation) = tokio::try_join!(
            async { Ok::<_, StartError>(cursor_secret(&env, stage.stage).await?) },
            async { Ok(Foundation::lay("history", &env, parts).await?) },
        )?;
        Ok(Self(Arc::new(Inner {
            foundation,
            usage: UsageStore::new(&dynamodb, config::usage_table(&env)?),
            history: HistoryStore::new(&dynamodb, work_table.clone()),
            jobs: JobStore::new(&dynamodb, work_table),
            cursor_key: CursorKey::new(&secret),
        })))
    }

    pub(crate) fn usage(&self) -> &UsageStore {
        &self.0.usage
    }

    pub(crate) fn history(&self) -> &HistoryStore {
        &self.0.history
    }

    pub(crate) fn jobs(&self) -> &JobStore {
        &self.0.jobs
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
    }
}
