//! Secrets, from where the configuration says they are.

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use secrecy::{ExposeSecret, SecretString};

use super::StoreError;
use super::client::{http_client_for, timeouts};
use crate::config::{self, ConfigError, Environment, SecretSource};

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the secret could not be read")]
    Store(#[source] StoreError),
    #[error("the secret has no text")]
    NoText,
    #[error("the secret cannot stand in a header")]
    NoHeader,
}

impl SecretError {
    /// Whether the same secret may well be had later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// Reads a secret. From Secrets Manager it is the current version (`AWSCURRENT`).
pub async fn read_secret(
    env: &Environment,
    source: &SecretSource,
) -> Result<SecretString, SecretError> {
    let name = match source {
        SecretSource::Inline(secret) => return Ok(secret.clone()),
        SecretSource::SecretsManager(name) => name,
    };
    let (key_id, secret, session) = config::aws_credentials(env)?;
    let session = session.map(|token| token.expose_secret().to_owned());
    let endpoint = config::secrets_manager_endpoint(env);
    let mut config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config::aws_region(env)?.to_owned()))
        .credentials_provider(Credentials::new(
            key_id,
            secret.expose_secret(),
            session,
            None,
            "environment",
        ))
        .http_client(http_client_for(endpoint))
        .timeout_config(timeouts());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    let answer = aws_sdk_secretsmanager::Client::from_conf(config.build())
        .get_secret_value()
        .secret_id(name)
        .send()
        .await
        .map_err(|error| SecretError::Store(StoreError::from_sdk("GetSecretValue", error)))?;
    answer
        .secret_string
        .map(SecretString::from)
        .ok_or(SecretError::NoText)
}
