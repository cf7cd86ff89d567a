//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use secrecy::SecretString;
use turnpike_shared::admission::{Admission, AdmissionParts, SetupError};
use turnpike_shared::audit::ChainKey;
use turnpike_shared::auth::secret::SecretTooShort;
use turnpike_shared::auth::{Claims, StageSecret, User};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{self, ConfigError, Cors, Environment, StageConfig, UserTables};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{
    Administered, AuditLog, SecretError, StoreError, UsageStore, UserStore, read_secret,
};
use turnpike_shared::token_verifier::TokenVerifier;
use turnpike_shared::usage_recorder::UsageRecorder;
use turnpike_shared::web::{Admits, CursorKey, FunctionContext};

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the secret of the audit log cannot be had")]
    Secret(#[from] SecretError),
    #[error("TURNPIKE_AUDIT_SECRET or the secret behind its ARN cannot be used")]
    AuditSecret(#[from] SecretTooShort),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

/// The state of the function.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    admission: Admission,
    usage: UsageStore,
    users: UserStore,
    audit_log: AuditLog,
    tokens: TokenVerifier,
    cursor_key: CursorKey,
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
        let audit_secret = config::audit_secret(&env, stage.stage)?;
        let audit_table = config::audit_table(&env)?;
        let AdmissionParts {
            dynamodb,
            clock,
            budgets,
            recorder,
            ..
        } = parts.clone();
        let (secret, admission) = tokio::try_join!(
            async { Ok::<_, StartError>(read_secret(&env, &audit_secret).await?) },
            async { Ok(Admission::from_environment(&env, &stage, parts).await?) },
        )?;
        // Its cursors are made with a key from the same secret: that of the users' opens what was
        // answered to them.
        let secret = StageSecret::new(&secret)?;
        // Every request with a token waits for the keys.
        let keys = UserStore::new(&dynamodb.within(budgets.dynamodb), tables.clone());
        let users = UserStore::new(&dynamodb, tables);
        let usage = UsageStore::new(&dynamodb, config::usage_table(&env)?);
        Ok(Self(Arc::new(Inner {
            admission,
            tokens: TokenVerifier::new(keys, &stage.issuer, clock.clone()),
            usage,
            users,
            audit_log: AuditLog::new(&dynamodb, audit_table, ChainKey::new(&secret)),
            cursor_key: CursorKey::new(&secret),
            clock,
            recorder,
            stage,
            panic_path,
        })))
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(crate) fn usage(&self) -> &UsageStore {
        &self.0.usage
    }

    pub(crate) fn users(&self) -> &UserStore {
        &self.0.users
    }

    pub(crate) fn audit_log(&self) -> &AuditLog {
        &self.0.audit_log
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
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
        FunctionContext::new("admin", &self.0.stage.issuer, self.0.clock.clone())
            .recorded_by(self.recorder())
            .panicking_at(self.0.panic_path.clone())
    }

    /// Makes a change of a user; their next request anywhere meets it.
    pub(crate) async fn administer(
        &self,
        user: UserId,
        change: impl Future<Output = Result<Administered, StoreError>>,
    ) -> Result<User, Problem> {
        done(self.admission().changing(user, change).await?)
    }
}

/// What the client is told of a change.
pub(crate) fn done(administered: Administered) -> Result<User, Problem> {
    match administered {
        Administered::Done(user) => Ok(*user),
        Administered::NotFound => Err(Problem::not_found()),
        Administered::LastAdmin => Err(Problem::new(
            ProblemCode::LastAdmin,
            "Nobody else is an active admin.",
        )),
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
