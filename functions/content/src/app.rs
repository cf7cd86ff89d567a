//! What the handlers share: made once at the start, cheap to clone.

use std::sync::Arc;

use turnpike_shared::admission::{AdmissionParts, SetupError};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig, UserTables};
use turnpike_shared::errors::Problem;
use turnpike_shared::idempotency::Secret;
use turnpike_shared::stores::{BehaviorStore, ContentStore, PreferenceStore, UserStore};
use turnpike_shared::web::{
    Answers, CursorKey, CursorSecretError, Foundation, KeepsAnswers, Repetition, cursor_secret,
};

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
    preferences: PreferenceStore,
    behavior: BehaviorStore,
    content: ContentStore,
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
        let work_table = config::work_table(&env)?;
        let dynamodb = parts.dynamodb.clone();
        let (secret, foundation) = tokio::try_join!(
            async { Ok::<_, StartError>(cursor_secret(&env, stage.stage).await?) },
            async { Ok(Foundation::lay("content", &env, parts).await?) },
        )?;
        let users = UserStore::new(&dynamodb, tables);
        Ok(Self(Arc::new(Inner {
            foundation,
            preferences: PreferenceStore::new(&dynamodb, work_table.clone(), users.clone()),
            behavior: BehaviorStore::new(&dynamodb, work_table.clone(), users.clone()),
            content: ContentStore::new(&dynamodb, work_table),
            cursor_key: CursorKey::new(&secret),
            answers: Answers::new(&secret, users),
        })))
    }

    pub(crate) fn preferences(&self) -> &PreferenceStore {
        &self.0.preferences
    }

    pub(crate) fn behavior(&self) -> &BehaviorStore {
        &self.0.behavior
    }

    pub(crate) fn content(&self) -> &ContentStore {
        &self.0.content
    }

    pub(crate) fn cursor_key(&self) -> &CursorKey {
        &self.0.cursor_key
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// What the function stands on.
    pub fn foundation(&self) -> &Foundation {
        &self.0.foundation
    }
}

impl KeepsAnswers for App {
    fn answers(&self) -> &Answers {
        &self.0.answers
    }

    fn now(&self) -> Timestamp {
        self.0.foundation.now()
    }

    /// Nothing that this function answers is secret, so it is asked of others' answers alone.
    async fn still_stands(&self, _: &Secret, _: &Repetition<'_>) -> Result<bool, Problem> {
        Ok(false)
    }
}
