//! The secret of a stage that cursors and kept answers are made with: had once, when a function
//! starts. What is made with it belongs to who makes it.

use crate::auth::StageSecret;
use crate::auth::secret::SecretTooShort;
use crate::config::{self, ConfigError, Environment, Stage};
use crate::stores::{SecretError, read_secret};

/// Why the secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CursorSecretError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the secret of the cursors cannot be had")]
    Secret(#[from] SecretError),
    #[error("TURNPIKE_CURSOR_SECRET or the secret behind its ARN cannot be used")]
    Unusable(#[from] SecretTooShort),
}

/// The secret, from the environment or from where that says that it is.
pub async fn cursor_secret(
    env: &Environment,
    stage: Stage,
) -> Result<StageSecret, CursorSecretError> {
    let source = config::cursor_secret(env, stage)?;
    Ok(StageSecret::new(&read_secret(env, &source).await?)?)
}
