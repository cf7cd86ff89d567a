//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use axum::extract::FromRef;
use turnpike_shared::admission::{Admission, AdmissionParts, SetupError};
use turnpike_shared::cache::Cache;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::{self, ConfigError, Environment};
use turnpike_shared::errors::chain;
use turnpike_shared::history::QueryRecord;
use turnpike_shared::queries::Queries;
use turnpike_shared::stores::HistoryStore;
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
    queries: Queries,
    sources: Sources,
    history: HistoryStore,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let history = HistoryStore::new(&parts.dynamodb, config::work_table(&env)?);
        let upstreams = Upstreams::from_environment(&env, &parts)?;
        let foundation = Foundation::lay("query", &env, parts.clone()).await?;
        let cache = Cache::from_environment(&env, &parts, foundation.admission())?;
        let sources = Sources {
            cache: cache.clone(),
            upstreams: upstreams.clone(),
            clock: foundation.clock().clone(),
        };
        Ok(Self(Arc::new(Inner {
            foundation,
            queries: Queries::new(cache, upstreams),
            sources,
            history,
        })))
    }

    pub(crate) fn admission(&self) -> &Admission {
        self.0.foundation.admission()
    }

    pub(crate) fn queries(&self) -> &Queries {
        &self.0.queries
    }

    /// What `/proxy` answers from.
    pub(crate) fn sources(&self) -> &Sources {
        &self.0.sources
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// Writes a query into its user's history, after the answer. That is not worth failing for.
    pub(crate) async fn remember(&self, record: QueryRecord) {
        let history = self.0.history.clone();
        let write = async move {
            if let Err(error) = history.record(&record).await {
                tracing::warn!(cause = chain(&error), "a query is not in the history");
            }
        };
        self.0.foundation.afterwards().begin(write).await;
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
