//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use turnpike_shared::admission::{AdmissionParts, SetupError};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::{self, ConfigError, Environment};
use turnpike_shared::stores::UsageStore;
use turnpike_shared::web::Foundation;

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

/// The state of the function.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    foundation: Foundation,
    usage: UsageStore,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let dynamodb = parts.dynamodb.clone();
        Ok(Self(Arc::new(Inner {
            foundation: Foundation::lay("history", &env, parts).await?,
            usage: UsageStore::new(&dynamodb, config::usage_table(&env)?),
        })))
    }

    pub(crate) fn usage(&self) -> &UsageStore {
        &self.0.usage
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
    }
}
