//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use turnpike_shared::admission::{Admission, AdmissionParts, SetupError};
use turnpike_shared::audit::ChainKey;
use turnpike_shared::auth::secret::SecretTooShort;
use turnpike_shared::auth::{StageSecret, User};
use turnpike_shared::cache::Cache;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig, UserTables};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{
    Administered, AuditLog, SecretError, StoreError, UsageStore, UserStore, read_secret,
};
use turnpike_shared::upstreams::Breakers;
use turnpike_shared::web::{Admits, CursorKey, Foundation};

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
    foundation: Foundation,
    usage: UsageStore,
    users: UserStore,
    breakers: Breakers,
    audit_log: AuditLog,
    cursor_key: CursorKey,
    cache: Cache,
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
        let audit_secret = config::audit_secret(&env, stage.stage)?;
        let audit_table = config::audit_table(&env)?;
        let dynamodb = parts.dynamodb.clone();
        let breakers = Breakers::from_environment(&env, &parts)?;
        let (secret, foundation) = tokio::try_join!(
            async { Ok::<_, StartError>(read_secret(&env, &audit_secret).await?) },
            async { Ok(Foundation::lay("admin", &env, parts.clone()).await?) },
        )?;
        // Its cursors are made with a key from the same secret: that of the users' opens what was
        // answered to them.
        let secret = StageSecret::new(&secret)?;
        let cache = Cache::from_environment(&env, &parts, foundation.admission())?;
        let users = UserStore::new(&dynamodb, tables);
        let usage = UsageStore::new(&dynamodb, config::usage_table(&env)?);
        Ok(Self(Arc::new(Inner {
            foundation,
            usage,
            users,
            breakers,
            audit_log: AuditLog::new(&dynamodb, audit_table, ChainKey::new(&secret)),
            cursor_key: CursorKey::new(&secret),
            cache,
        })))
    }

    pub(crate) fn admission(&self) -> &Admission {
        self.0.foundation.admission()
    }

    pub(crate) fn usage(&self) -> &UsageStore {
        &self.0.usage
    }

    pub(crate) fn users(&self) -> &UserStore {
        &self.0.users
    }

    pub(crate) fn breakers(&self) -> &Breakers {
        &self.0.breakers
    }

    pub(crate) fn audit_log(&self) -> &AuditLog {
        &self.0.audit_log
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
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
