//! The DynamoDB client: made once, shared, with every call bounded.

use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use secrecy::ExposeSecret;

use crate::config::{self, ConfigError, Environment};

/// Connections are made ahead of the first request, and anew when one was closed meanwhile.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One try; DynamoDB answers in single-digit milliseconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// All tries of one call: half of a function's ten seconds, so that its problem is still told.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ATTEMPTS: u32 = 3;

/// The roots that AWS's endpoints chain to (Amazon Trust Services). Reading these five instead of
/// the system's hundred and fifty saves most of the client's start.
pub(super) const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// A client of DynamoDB, cheap to clone.
#[derive(Clone)]
pub struct DynamoDb(Client);

impl DynamoDb {
    /// A client for the region's own DynamoDB or the engine that the environment names, with the
    /// credentials that Lambda puts there. (`docs/decisions/0003-plain-credentials.md` says why
    /// it does without a chain of providers.)
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let endpoint = config::dynamodb_endpoint(env);
        Self::new(http_client_for(endpoint), endpoint, env)
    }

    /// A client that sends its requests through `http_client`, whatever their address.
    pub fn through(http_client: SharedHttpClient, env: &Environment) -> Result<Self, ConfigError> {
        Self::new(http_client, None, env)
    }

    fn new(
        http_client: SharedHttpClient,
        endpoint: Option<&str>,
        env: &Environment,
    ) -> Result<Self, ConfigError> {
        let (key_id, secret, session) = config::aws_credentials(env)?;
        let session = session.map(|token| token.expose_secret().to_owned());
        let credentials =
            Credentials::new(key_id, secret.expose_secret(), session, None, "environment");
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config::aws_region(env)?.to_owned()))
            .credentials_provider(credentials)
            .http_client(http_client)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(timeouts());
        config.set_endpoint_url(endpoint.map(str::to_owned));
        Ok(Self(Client::from_conf(config.build())))
    }

    /// The same client for calls that a request waits for before it is let in: each is given up
    /// after `budget`, without a second try by the SDK.
    #[must_use]
    pub fn within(&self, budget: Duration) -> Self {
        let timeouts = timeouts().to_builder();
        let timeouts = timeouts
            .operation_attempt_timeout(budget)
            .operation_timeout(budget);
        let config = self.0.config().to_builder();
        let config = config
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        Self(Client::from_conf(config.build()))
    }

    pub(super) fn client(&self) -> Client {
        self.0.clone()
    }
}

/// The SDK's client itself, for whoever makes the tables of an engine of one's own.
pub fn client_of_engine(dynamodb: &DynamoDb) -> Client {
    dynamodb.client()
}

/// The bounds of every call.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

/// An HTTP client that trusts AWS's own roots and nothing else; one for all clients of AWS.
pub fn https_client() -> SharedHttpClient {
    static CLIENT: LazyLock<SharedHttpClient> = LazyLock::new(|| {
        let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
        let context = TlsContext::builder().with_trust_store(roots).build();
        #[expect(clippy::expect_used, reason = "the roots are part of the program")]
        let context = context.expect("the embedded roots are well-formed certificates");
        Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::AwsLc,
            ))
            .tls_context(context)
            .build_https()
    });
    CLIENT.clone()
}

/// The HTTP client for an endpoint: without TLS where the endpoint is.
pub(super) fn http_client_for(endpoint: Option<&str>) -> SharedHttpClient {
    match endpoint {
        Some(endpoint) if endpoint.starts_with("http://") => Builder::new().build_http(),
        _ => https_client(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_roots_are_certificates() {
        https_client();

        let begins = AMAZON_ROOTS
            .windows(27)
            .filter(|w| *w == b"-----BEGIN CERTIFICATE-----");
        assert_eq!(begins.count(), 5);
    }
}
