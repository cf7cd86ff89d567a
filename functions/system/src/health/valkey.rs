//! Whether Valkey is there: a server is asked itself, a serverless cache is looked up.
//!
//! This function is outside of the network of a serverless cache and may not sign in to it, so
//! that it can only repeat what ElastiCache says of the cache. Whether the other functions reach
//! it is theirs to say, with the header `Turnpike-Degraded`.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{ConfigError, Environment, Stage, ValkeyConfig};
use turnpike_shared::errors::chain;
use turnpike_shared::stores::valkey::endpoint::{CacheDescription, CacheDirectory, LookupError};
use turnpike_shared::stores::{PingError, ValkeyLink};
use utoipa::ToSchema;

use super::last_probe::Service;

/// How long a server may take to answer. It is asked for a sign of life, not for limits, and so
/// has longer than a request would give it.
const PING_BUDGET: Duration = Duration::from_secs(1);
/// How long ElastiCache may take to describe a cache, with a connection that is made for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The Valkey of this stage.
pub(crate) enum Valkey {
    Server(ValkeyLink),
    Serverless {
        name: String,
        directory: CacheDirectory,
    },
}

/// What came of asking about Valkey.
#[derive(Clone)]
pub(crate) struct ValkeyAnswer {
    pub(super) error: Option<ValkeyErrorKind>,
    pub(super) cache: Option<CacheDetails>,
}

/// Why Valkey counts as down.
#[derive(Clone, Copy, Serialize, ToSchema, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValkeyErrorKind {
    /// The server, or of a serverless cache ElastiCache's API, is away, overloaded or too slow.
    Unavailable,
    /// The server does not take the sign-in, or ElastiCache does not say how the cache is.
    Refused,
    /// There is no serverless cache of this name.
    NotFound,
    /// The serverless cache is there, and in a state in which nobody can connect.
    NotServing,
}

/// A serverless cache, as ElastiCache describes it.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct CacheDetails {
    #[schema(example = "turnpike-prod")]
    name: String,
    /// `creating`, `available`, `modifying`, `deleting` or `create-failed`; `null` when it could
    /// not be found out.
    #[schema(required, example = "available")]
    status: Option<String>,
    /// Host and port; `null` while there is none.
    #[schema(
        required,
        example = "turnpike-prod-a1b2c3.serverless.use1.cache.amazonaws.com:6379"
    )]
    endpoint: Option<String>,
    #[schema(required, example = "8.1")]
    engine_version: Option<String>,
}

impl Valkey {
    /// The Valkey that the environment names; `None` where it names none.
    pub(crate) fn from_environment(
        env: &Environment,
        stage: Stage,
        clock: Clock,
    ) -> Result<Option<Self>, ConfigError> {
        Ok(match ValkeyConfig::read(env, stage)? {
            None => None,
            Some(server @ ValkeyConfig::Server(_)) => {
                let link = ValkeyLink::configured(server, env, clock, PING_BUDGET)?;
                Some(Self::Server(link))
            }
            Some(ValkeyConfig::Serverless(cache)) => Some(Self::Serverless {
                name: cache.name,
                directory: CacheDirectory::from_environment(env)?,
            }),
        })
    }
}

impl Service for Valkey {
    type Answer = ValkeyAnswer;

    async fn ask(&self) -> ValkeyAnswer {
        match self {
            Self::Server(link) => ValkeyAnswer {
                error: ping(link).await.err(),
                cache: None,
            },
            Self::Serverless { name, directory } => look_up(name, directory).await,
        }
    }

    fn is_up(answer: &ValkeyAnswer) -> bool {
        answer.error.is_none()
    }
}

async fn ping(link: &ValkeyLink) -> Result<(), ValkeyErrorKind> {
    link.ping().await.map_err(|error| {
        tracing::warn!(
            cause = chain(&error),
            "Valkey does not answer the health probe"
        );
        match error {
            PingError::Away(_) => ValkeyErrorKind::Unavailable,
            PingError::Refused(_) => ValkeyErrorKind::Refused,
        }
    })
}

async fn look_up(name: &str, directory: &CacheDirectory) -> ValkeyAnswer {
    let described = timeout(LOOKUP_TIMEOUT, directory.describe(name)).await;
    let (error, found) = match described {
        Ok(Ok(found)) if found.is_serving() => (None, Some(found)),
        Ok(Ok(found)) => {
            let status = found.status.as_str();
            tracing::warn!(status, "the serverless cache does not serve");
            (Some(ValkeyErrorKind::NotServing), Some(found))
        }
        Ok(Err(error)) => {
            tracing::warn!(
                cause = chain(&error),
                "ElastiCache does not say how the cache is"
            );
            (Some(ValkeyErrorKind::from(&error)), None)
        }
        Err(_) => {
            tracing::warn!("ElastiCache did not say in time how the cache is");
            (Some(ValkeyErrorKind::Unavailable), None)
        }
    };
    ValkeyAnswer {
        error,
        cache: Some(CacheDetails::new(name, found.as_ref())),
    }
}

impl CacheDetails {
    fn new(name: &str, found: Option<&CacheDescription>) -> Self {
        let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let endpoint = found.and_then(|found| found.endpoint.as_ref());
        Self {
            name: name.to_owned(),
            status: found.and_then(|found| told(&found.status)),
            endpoint: endpoint.map(|at| format!("{}:{}", at.host, at.port)),
            engine_version: found.and_then(|found| told(&found.engine_version)),
        }
    }
}

impl From<&LookupError> for ValkeyErrorKind {
    fn from(error: &LookupError) -> Self {
        match error {
            LookupError::NotFound(_) => Self::NotFound,
            LookupError::Refused(_) => Self::Refused,
            LookupError::Away(_) => Self::Unavailable,
        }
    }
}
