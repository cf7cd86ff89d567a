//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use turnpike_shared::admission::{AdmissionParts, SetupError};
use turnpike_shared::cache::Cache;
use turnpike_shared::config::{ConfigError, Environment};
use turnpike_shared::web::{Admits as _, Foundation};

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
    cache: Cache,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let foundation = Foundation::lay("cache", &env, parts.clone()).await?;
        Ok(Self(Arc::new(Inner {
            cache: Cache::from_environment(&env, &parts, foundation.admission())?,
            foundation,
        })))
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
    }
}
