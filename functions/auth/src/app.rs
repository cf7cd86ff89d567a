//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use turnpike_shared::admission::{Admission, AdmissionParts, SetupError};
use turnpike_shared::auth::secret::SecretTooShort;
use turnpike_shared::auth::signing_keys::InvalidKeys;
use turnpike_shared::auth::{
    Claims, PasswordHasher, RefreshKey, Session, StageSecret, TokenProfile, User,
};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{
    self, ConfigError, Cors, Environment, KeysConfig, StageConfig, Tables,
};
use turnpike_shared::errors::Problem;
use turnpike_shared::failed_sign_ins::FailedSignIns;
use turnpike_shared::idempotency::Secret;
use turnpike_shared::stores::{AccountStore, SecretError, StoreError, UserStore, read_secret};
use turnpike_shared::usage_recorder::UsageRecorder;
use turnpike_shared::web::{Admits, Answers, CursorKey, FunctionContext, KeepsAnswers, Repetition};

use crate::answers::TokensBody;
use crate::key_ring::KeyRing;
use crate::repeated_registration;

/// How long the entry of failed sign-ins may take. Nothing waits for it but the instance that
/// writes it, which is not free for its next request meanwhile.
const OUTBOX_BUDGET: Duration = Duration::from_millis(250);

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the function's keys cannot be had")]
    Secret(#[from] SecretError),
    #[error("the signing keys cannot be used")]
    Keys(#[from] InvalidKeys),
    #[error("the signing keys were not made for this stage: their issuer is not TURNPIKE_ISSUER")]
    KeysOfAnotherStage,
    #[error("TURNPIKE_AUTH_SECRET or the secret behind its ARN cannot be used")]
    AuthSecret(#[from] SecretTooShort),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

/// What a function is made of that the environment alone does not give.
pub struct Parts {
    pub admission: AdmissionParts,
    pub hasher: PasswordHasher,
}

/// The state of the function.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    admission: Admission,
    accounts: AccountStore,
    hasher: PasswordHasher,
    keys: KeyRing,
    profile: TokenProfile,
    refresh_key: RefreshKey,
    cursor_key: CursorKey,
    answers: Answers,
    clock: Clock,
    recorder: UsageRecorder,
    failed_sign_ins: FailedSignIns,
    stage: StageConfig,
    security_contact: String,
    panic_path: Option<String>,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = Parts {
            admission: AdmissionParts::from_environment(&env)?,
            hasher: PasswordHasher::new(),
        };
        Box::pin(Self::new(env, parts)).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: Environment, parts: Parts) -> Result<Self, StartError> {
        let stage = StageConfig::read(&env)?;
        let keys = KeysConfig::read(&env, stage.stage)?;
        let tables = Tables::read(&env)?;
        let security_contact = config::security_contact(&env, &stage)?;
        let panic_path = config::panic_path(&env, stage.stage)?;
        let AdmissionParts {
            dynamodb,
            clock,
            recorder,
            ..
        } = parts.admission.clone();
        let outbox = UserStore::new(&dynamodb.within(OUTBOX_BUDGET), tables.users.clone());
        let accounts = AccountStore::new(&dynamodb, tables);
        let users = accounts.users().clone();
        // What the start waits for, waits at once: secrets, keys and where they are published,
        // the policy, and the link to Valkey.
        let (secret, keys, admission) = tokio::try_join!(
            async {
                Ok::<_, StartError>(StageSecret::new(
                    &read_secret(&env, &keys.auth_secret).await?,
                )?)
            },
            KeyRing::load(
                env.clone(),
                keys.clone(),
                stage.clone(),
                users,
                clock.clone()
            ),
            async {
                let admission = Admission::from_environment(&env, &stage, parts.admission);
                Ok(admission.await?)
            },
        )?;
        Ok(Self(Arc::new(Inner {
            admission,
            answers: Answers::new(&secret, accounts.users().clone()),
            accounts,
            hasher: parts.hasher,
            keys,
            profile: TokenProfile::new(&stage.issuer),
            refresh_key: RefreshKey::new(&secret),
            cursor_key: CursorKey::new(&secret),
            failed_sign_ins: FailedSignIns::new(outbox, clock.clone()),
            clock,
            recorder,
            stage,
            security_contact,
            panic_path,
        })))
    }

    pub(crate) fn accounts(&self) -> &AccountStore {
        &self.0.accounts
    }

    pub(crate) fn hasher(&self) -> &PasswordHasher {
        &self.0.hasher
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    pub(crate) fn profile(&self) -> &TokenProfile {
        &self.0.profile
    }

    pub(crate) fn refresh_key(&self) -> &RefreshKey {
        &self.0.refresh_key
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.0.stage.issuer
    }

    pub(crate) fn security_contact(&self) -> &str {
        &self.0.security_contact
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(crate) fn cors(&self) -> Cors {
        self.0.stage.cors.clone()
    }

    /// What records the requests that the function lets in.
    pub fn recorder(&self) -> UsageRecorder {
        self.0.recorder.clone()
    }

    /// What counts the sign-ins that fail.
    pub fn failed_sign_ins(&self) -> FailedSignIns {
        self.0.failed_sign_ins.clone()
    }

    pub(crate) fn function_context(&self) -> FunctionContext {
        FunctionContext::new("auth", self.issuer(), self.0.clock.clone())
            .recorded_by(self.recorder())
            .panicking_at(self.0.panic_path.clone())
    }

    /// An access token and the newest refresh token of a session.
    pub(crate) async fn tokens(
        &self,
        user: &User,
        session: &Session,
        now: Timestamp,
    ) -> Result<TokensBody, Problem> {
        let keys = self.keys().current().await;
        let access = self.profile().issue(&keys, user, session.id, now);
        let access = access.map_err(Problem::internal)?;
        let refresh =
            self.refresh_key()
                .mint(user.id, session.id, session.generation, &session.salt);
        let refresh_expires_in = session.refreshable_until().since(now).as_secs();
        Ok(TokensBody::new(
            access.expose_secret(),
            refresh.expose_secret(),
            refresh_expires_in,
            session.id,
        ))
    }
}

impl Admits for App {
    fn admission(&self) -> &Admission {
        &self.0.admission
    }

    async fn verify(&self, token: &SecretString) -> Result<Option<Claims>, StoreError> {
        let keys = self.keys().current().await;
        let now = self.clock().now();
        let verified = self.profile().verify(keys.public(), token, now);
        if let Err(rejected) = &verified {
            tracing::debug!(cause = %rejected, "an access token is not taken");
        }
        Ok(verified.ok())
    }
}

impl KeepsAnswers for App {
    fn answers(&self) -> &Answers {
        &self.0.answers
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn still_stands(
        &self,
        secret: &Secret,
        repetition: &Repetition<'_>,
    ) -> Result<bool, Problem> {
        match secret {
            Secret::Tokens { user, session } => {
                repeated_registration::still_stands(self, *user, *session, repetition).await
            }
            // Keys are none of this function's.
            Secret::ApiKey { .. } => Ok(false),
        }
    }
}
