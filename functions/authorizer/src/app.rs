//! What an event leads to: the request is admitted as Turnpike's own routes would admit it.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use secrecy::SecretString;
use turnpike_shared::admission::{
    Admission, AdmissionParts, Caller, LetIn, RequestNotes, SetupError, notes,
};
use turnpike_shared::auth::Claims;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{
    AuthorizerConfig, ConfigError, Environment, StageConfig, UserTables,
};
use turnpike_shared::errors::Problem;
use turnpike_shared::limits::LimitReport;
use turnpike_shared::runtime::{EventFunction, Invocation};
use turnpike_shared::stores::{StoreError, UserStore};
use turnpike_shared::token_verifier::TokenVerifier;
use turnpike_shared::usage::UsageRecord;
use turnpike_shared::usage_recorder::UsageRecorder;
use turnpike_shared::web::{self, Admits};

use crate::answer::{self, Answer};
use crate::event::RequestEvent;

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

/// Why nothing could be decided, which API Gateway answers with a 500.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizerError {
    #[error("the event names no route")]
    NoRoute,
    #[error("{detail}")]
    Undecided {
        detail: Cow<'static, str>,
        #[source]
        cause: Option<Arc<dyn Error + Send + Sync>>,
    },
}

impl From<Problem> for AuthorizerError {
    fn from(Problem { detail, cause, .. }: Problem) -> Self {
        Self::Undecided { detail, cause }
    }
}

/// The state of the function.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    admission: Admission,
    tokens: TokenVerifier,
    config: AuthorizerConfig,
    recorder: UsageRecorder,
    clock: Clock,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts::from_environment(&env)?;
        Self::new(&env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: &Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let stage = StageConfig::read(env)?;
        let config = AuthorizerConfig::read(env)?;
        let tables = UserTables::read(env)?;
        let AdmissionParts {
            dynamodb,
            clock,
            budgets,
            recorder,
            ..
        } = parts.clone();
        let admission = Admission::from_environment(env, &stage, parts).await?;
        if !admission.policy().await.counts_users(&config.class) {
            return Err(config.unknown_class().into());
        }
        let keys = UserStore::new(&dynamodb.within(budgets.dynamodb), tables);
        Ok(Self(Arc::new(Inner {
            admission,
            tokens: TokenVerifier::new(keys, &stage.issuer, clock.clone()),
            config,
            recorder,
            clock,
        })))
    }

    /// Who asks, and how their limits stand, or why they are refused.
    async fn admit(&self, event: &RequestEvent) -> Result<(Caller, LimitReport), Problem> {
        let config = &self.0.config;
        let admission = &self.0.admission;
        let presented = web::presented(self, &event.headers()).await?;
        let admitted = admission
            .admit(presented, event.peer(), &config.class)
            .await;
        let (caller, limits) =
            admitted.map_err(|denied| web::problem_of(denied, admission.now()))?;
        for scope in config.scopes.iter() {
            web::require(&caller, scope)?;
        }
        Ok((caller, limits))
    }

    /// Records the request, with what became of it here: how the API behind answers is not known.
    fn record(&self, event: &RequestEvent, came: (Timestamp, Instant), status: u16, let_in: LetIn) {
        let (method, path) = event.route();
        let (at, started) = came;
        self.0.recorder.record(UsageRecord {
            at,
            caller: let_in.caller,
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            duration_ms: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
            charged: let_in.charged,
        });
    }
}

impl EventFunction for App {
    type Event = RequestEvent;
    type Report = Answer;
    type Failure = AuthorizerError;

    async fn handle(&self, event: RequestEvent, _: Invocation) -> Result<Answer, AuthorizerError> {
        let came = (self.0.clock.now(), Instant::now());
        let form = self.0.config.response;
        // A policy for another route than this one would be worse than none.
        let resource = event.arn().ok_or(AuthorizerError::NoRoute)?;
        let noted = RequestNotes::default();

        let admitted = notes::within(noted.clone(), self.admit(&event)).await;

        let (status, answer) = match admitted {
            Ok((caller, limits)) => (200, Ok(answer::allow(form, resource, &caller, &limits))),
            Err(problem) if problem.code.status() >= 500 => (500, Err(problem.into())),
            Err(problem) => {
                let (limits, _) = noted.taken();
                (403, Ok(answer::deny(form, resource, &problem, &limits)))
            }
        };
        for let_in in noted.let_in() {
            self.record(&event, came, status, let_in);
        }
        answer
    }

    fn recorder(&self) -> Option<UsageRecorder> {
        Some(self.0.recorder.clone())
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
