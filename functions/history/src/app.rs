//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use secrecy::SecretString;
use turnpike_shared::admission::{Admission, AdmissionParts, SetupError};
use turnpike_shared::auth::Claims;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{self, ConfigError, Cors, Environment, StageConfig, UserTables};
use turnpike_shared::stores::{StoreError, UsageStore, UserStore};
use turnpike_shared::token_verifier::TokenVerifier;
use turnpike_shared::usage_recorder::UsageRecorder;
use turnpike_shared::web::{Admits, FunctionContext};

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
    admission: Admission,
    usage: UsageStore,
    tokens: TokenVerifier,
    clock: Clock,
    recorder: UsageRecorder,
    stage: StageConfig,
    panic_path: Option<String>,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let stage = StageConfig::read(&env)?;
        let tables = UserTables::read(&env)?;
        let panic_path = config::panic_path(&env, stage.stage)?;
        let AdmissionParts {
            dynamodb,
            clock,
            budgets,
            recorder,
            ..
        } = parts.clone();
        // Every request with a token waits for the keys.
        let keys = UserStore::new(&dynamodb.within(budgets.dynamodb), tables);
        Ok(Self(Arc::new(Inner {
            admission: Admission::from_environment(&env, &stage, parts).await?,
            usage: UsageStore::new(&dynamodb, config::usage_table(&env)?),
            tokens: TokenVerifier::new(keys, &stage.issuer, clock.clone()),
            clock,
            recorder,
            stage,
            panic_path,
        })))
    }

    pub(crate) fn usage(&self) -> &UsageStore {
        &self.0.usage
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn cors(&self) -> Cors {
        self.0.stage.cors.clone()
    }

    /// What records the requests that the function lets in.
    pub fn recorder(&self) -> UsageRecorder {
        self.0.recorder.clone()
    }

    pub(crate) fn function_context(&self) -> FunctionContext {
        FunctionContext::new("history", &self.0.stage.issuer, self.0.clock.clone())
            .recorded_by(self.recorder())
            .panicking_at(self.0.panic_path.clone())
    }
}

impl Admits for App {
    fn admission(&self) -> &Admission {
        &self.0.admission
    }

    async fn verify(&self, token: &SecretString) -> Result<Option<Claims>, StoreError> {
        self.0.tokens.verify(token).await
    }
}
