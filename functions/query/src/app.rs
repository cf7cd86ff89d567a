//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use axum::extract::FromRef;
use turnpike_shared::admission::{Admission, AdmissionParts, SetupError};
use turnpike_shared::cache::Cache;
use turnpike_shared::config::{ConfigError, Environment};
use turnpike_shared::upstreams::Upstreams;
use turnpike_shared::web::{Admits as _, Foundation};

use crate::proxy::Sources;

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
    sources: Sources,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let upstreams = Upstreams::from_environment(&env, &parts)?;
        let foundation = Foundation::lay("query", &env, parts.clone()).await?;
        let cache = Cache::from_environment(&env, &parts, foundation.admission())?;
        let sources = Sources {
            cache,
            upstreams,
            clock: foundation.clock().clone(),
        };
        Ok(Self(Arc::new(Inner {
            foundation,
            sources,
        })))
    }

    pub(crate) fn admission(&self) -> &Admission {
        self.0.foundation.admission()
    }

    /// What `/proxy` answers from.
    pub(crate) fn sources(&self) -> &Sources {
        &self.0.sources
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
    }
}

impl FromRef<App> for Foundation {
    fn from_ref(app: &App) -> Self {
        app.foundation().clone()
    }
}
