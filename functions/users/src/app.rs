//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use axum::http::StatusCode;
use turnpike_shared::admission::{Admission, AdmissionParts, Caller, SetupError};
use turnpike_shared::auth::{ApiKey, KeyChanges, KeyManager, KeyRefused, KeyRing, KeyState};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig, UserTables};
use turnpike_shared::errors::Problem;
use turnpike_shared::idempotency::{KeptAnswer, Secret};
use turnpike_shared::stores::{UsageStore, UserStore};
use turnpike_shared::web::{
    Admits, Answer, AnswerKeeper, Answers, CursorKey, CursorSecretError, Foundation, KeepsAnswers,
    Repetition, cursor_secret,
};

use crate::api_keys::{self, NewApiKeyBody};

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    CursorSecret(#[from] CursorSecretError),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

/// The state of the function.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    foundation: Foundation,
    users: UserStore,
    usage: UsageStore,
    cursor_key: CursorKey,
    answers: Answers,
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
        let dynamodb = parts.dynamodb.clone();
        let (secret, foundation) = tokio::try_join!(
            async { Ok::<_, StartError>(cursor_secret(&env, stage.stage).await?) },
            async { Ok(Foundation::lay("users", &env, parts).await?) },
        )?;
        let users = UserStore::new(&dynamodb, tables);
        Ok(Self(Arc::new(Inner {
            foundation,
            answers: Answers::new(&secret, users.clone()),
            users,
            usage: UsageStore::new(&dynamodb, config::usage_table(&env)?),
            cursor_key: CursorKey::new(&secret),
        })))
    }

    pub(crate) fn admission(&self) -> &Admission {
        self.0.foundation.admission()
    }

    pub(crate) fn users(&self) -> &UserStore {
        &self.0.users
    }

    pub(crate) fn usage(&self) -> &UsageStore {
        &self.0.usage
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// A key of the stage's kind, which nobody has had before.
    pub(crate) fn new_key(&self) -> ApiKey {
        ApiKey::generate(self.0.foundation.stage().stage.key_kind())
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
    }

    /// Changes the caller's keys as `decide` says; the next request of anybody meets them so.
    pub(crate) async fn change_keys(
        &self,
        caller: &Caller,
        now: Timestamp,
        decide: impl Fn(&KeyRing, KeyManager) -> Result<KeyChanges, KeyRefused>,
    ) -> Result<KeyChanges, Problem> {
        self.change_keys_and_keep(caller, now, decide, |_| None)
            .await
    }

    /// Makes a key as `decide` says. The answer is the one that shows it, and those to repetitions.
    pub(crate) async fn make_key(
        &self,
        caller: &Caller,
        keeper: &AnswerKeeper,
        key: &ApiKey,
        now: Timestamp,
        decide: impl Fn(&KeyRing, KeyManager) -> Result<KeyChanges, KeyRefused>,
    ) -> Result<Answer, Problem> {
        let answer = |made: &KeyChanges| {
            let body = NewApiKeyBody::new(&made.outcome, key, now);
            Answer::json(StatusCode::CREATED, &body)
        };
        let kept = |made: &KeyChanges| {
            let (owner, id) = (made.outcome.owner, made.outcome.id);
            keeper.keep(&answer(made), Some(Secret::ApiKey { owner, id }))
        };
        let made = self.change_keys_and_keep(caller, now, decide, kept).await?;
        Ok(answer(&made))
    }

    async fn change_keys_and_keep(
        &self,
        caller: &Caller,
        now: Timestamp,
        decide: impl Fn(&KeyRing, KeyManager) -> Result<KeyChanges, KeyRefused>,
        answer: impl Fn(&KeyChanges) -> Option<KeptAnswer>,
    ) -> Result<KeyChanges, Problem> {
        let (owner, manager) = (caller.id(), api_keys::manager(caller));
        let decide = |ring: &KeyRing| decide(ring, manager);
        let change = self
            .users()
            .change_keys_and_keep(owner, manager, now, decide, answer);
        let changed = self.admission().changing(owner, change).await?;
        changed.map_err(api_keys::problem_of)
    }
}

impl KeepsAnswers for App {
    fn answers(&self) -> &Answers {
        &self.0.answers
    }

    fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    async fn still_stands(&self, secret: &Secret, _: &Repetition<'_>) -> Result<bool, Problem> {
        let Secret::ApiKey { owner, id } = secret else {
            // Tokens are none of this function's.
            return Ok(false);
        };
        let key = self.users().api_key(*owner, *id).await?;
        Ok(key.is_some_and(|key| key.state(self.now()) == KeyState::Live))
    }
}
