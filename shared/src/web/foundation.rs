//! What an HTTP function that lets requests in stands on: made once at its start, cheap to clone.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use secrecy::SecretString;

use super::{Admits, FunctionContext, admit, with_conventions};
use crate::admission::{Admission, AdmissionParts, SetupError};
use crate::afterwards::Afterwards;
use crate::auth::Claims;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Environment, StageConfig, UserTables};
use crate::stores::{StoreError, UserStore};
use crate::token_verifier::TokenVerifier;
use crate::usage_recorder::UsageRecorder;

/// Admission, and what belongs to it, of one function.
#[derive(Clone)]
pub struct Foundation(Arc<Inner>);

struct Inner {
    function: &'static str,
    admission: Admission,
    tokens: TokenVerifier,
    clock: Clock,
    recorder: UsageRecorder,
    afterwards: Afterwards,
    stage: StageConfig,
    panic_path: Option<String>,
}

impl Foundation {
    /// The foundation of `function`: from `parts`, and the rest from the environment.
    pub async fn lay(
        function: &'static str,
        env: &Environment,
        parts: AdmissionParts,
    ) -> Result<Self, SetupError> {
        let stage = StageConfig::read(env)?;
        let panic_path = config::panic_path(env, stage.stage)?;
        let AdmissionParts {
            dynamodb,
            clock,
            budgets,
            recorder,
            afterwards,
            ..
        } = parts.clone();
        // Every request with a token waits for the keys.
        let keys = UserStore::new(&dynamodb.within(budgets.dynamodb), UserTables::read(env)?);
        Ok(Self(Arc::new(Inner {
            function,
            admission: Admission::from_environment(env, &stage, parts).await?,
            tokens: TokenVerifier::new(keys, &stage.issuer, clock.clone()),
            clock,
            recorder,
            afterwards,
            stage,
            panic_path,
        })))
    }

    pub fn stage(&self) -> &StageConfig {
        &self.0.stage
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What records the requests that the function lets in.
    pub fn recorder(&self) -> &UsageRecorder {
        &self.0.recorder
    }

    /// What is done after the answers.
    pub fn afterwards(&self) -> &Afterwards {
        &self.0.afterwards
    }

    /// The function's routes with admission in front of them, and the conventions around both.
    pub fn around(&self, routes: Router) -> Router {
        let context =
            FunctionContext::new(self.0.function, &self.0.stage.issuer, self.0.clock.clone())
                .recorded_by(self.0.recorder.clone())
                .panicking_at(self.0.panic_path.clone());
        let admitted = routes.layer(from_fn_with_state(self.clone(), admit::<Self>));
        with_conventions(admitted, context, &self.0.stage.cors)
    }
}

impl Admits for Foundation {
    fn admission(&self) -> &Admission {
        &self.0.admission
    }

    async fn verify(&self, token: &SecretString) -> Result<Option<Claims>, StoreError> {
        self.0.tokens.verify(token).await
    }
}
