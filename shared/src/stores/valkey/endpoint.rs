//! Where a serverless cache is: what ElastiCache itself says of it by its name.
//!
//! It answers where to connect and what `/health` shows of the cache. Whether the cache can be
//! reached there is the concern of whoever connects.

use std::error::Error;

use aws_sdk_elasticache::Client;
use aws_sdk_elasticache::config::retry::RetryConfig;
use aws_sdk_elasticache::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_elasticache::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticache::operation::describe_serverless_caches::DescribeServerlessCachesError;
use aws_sdk_elasticache::types::{Endpoint, ServerlessCache};
use secrecy::ExposeSecret;

use crate::config::{self, ConfigError, Environment};
use crate::stores::client::{http_client_for, timeouts};

/// One try and one more: a function that does not learn where its cache is goes on without it.
const MAX_ATTEMPTS: u32 = 2;

/// The name of a host and a port on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostAndPort {
    pub host: String,
    pub port: u16,
}

/// A serverless cache, as ElastiCache describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheDescription {
    /// In lower case: `creating`, `available`, `modifying`, `deleting` or `create-failed`.
    pub status: String,
    /// Where to connect, with TLS; not there before the cache is.
    pub endpoint: Option<HostAndPort>,
    /// `valkey`.
    pub engine: String,
    /// As full as ElastiCache tells it, such as `8.1`.
    pub engine_version: String,
}

impl CacheDescription {
    /// Whether connections can be expected to succeed.
    pub fn is_serving(&self) -> bool {
        self.endpoint.is_some() && matches!(self.status.as_str(), "available" | "modifying")
    }
}

/// Why nothing is known of the cache.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is none of this name in the account and region.
    #[error("there is no serverless cache {0:?}")]
    NotFound(String),
    /// A missing permission (`elasticache:DescribeServerlessCaches`), or a request that is wrong.
    #[error("ElastiCache refused to describe the cache")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// ElastiCache did not answer in time, answered with a fault of its own, or is throttling.
    #[error("ElastiCache is away, overloaded or too slow")]
    Away(#[source] Box<dyn Error + Send + Sync>),
}

/// Codes of answers that pass by themselves (ElastiCache API Reference, "Common Errors").
const TRANSIENT: &[&str] = &[
    "InternalFailure",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
];

/// Asks ElastiCache's own API, cheap to clone.
#[derive(Clone)]
pub struct CacheDirectory(Client);

impl CacheDirectory {
    /// A client of the region's ElastiCache, or of the one that the environment names, with the
    /// credentials that Lambda puts there.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let (key_id, secret, session) = config::aws_credentials(env)?;
        let session = session.map(|token| token.expose_secret().to_owned());
        let endpoint = config::elasticache_endpoint(env);
        let mut config = aws_sdk_elasticache::Config::builder()
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
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(timeouts());
        config.set_endpoint_url(endpoint.map(str::to_owned));
        Ok(Self(Client::from_conf(config.build())))
    }

    /// What ElastiCache says of the serverless cache `name`; one call, within 5 seconds.
    pub async fn describe(&self, name: &str) -> Result<CacheDescription, LookupError> {
        let answer = self
            .0
            .describe_serverless_caches()
            .serverless_cache_name(name)
            .send()
            .await
            .map_err(|error| LookupError::from_sdk(name, error))?;
        answer
            .serverless_caches
            .unwrap_or_default()
            .into_iter()
            .next()
            .map(CacheDescription::from)
            .ok_or_else(|| LookupError::NotFound(name.to_owned()))
    }
}

impl From<ServerlessCache> for CacheDescription {
    fn from(cache: ServerlessCache) -> Self {
        let version = cache.full_engine_version.or(cache.major_engine_version);
        Self {
            status: cache.status.unwrap_or_default().to_lowercase(),
            endpoint: cache.endpoint.and_then(HostAndPort::from_endpoint),
            engine: cache.engine.unwrap_or_default(),
            engine_version: version.unwrap_or_default(),
        }
    }
}

impl HostAndPort {
    fn from_endpoint(endpoint: Endpoint) -> Option<Self> {
        Some(Self {
            host: endpoint.address.filter(|host| !host.is_empty())?,
            port: u16::try_from(endpoint.port?).ok()?,
        })
    }
}

impl LookupError {
    fn from_sdk(name: &str, error: SdkError<DescribeServerlessCachesError>) -> Self {
        match &error {
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => Self::Away(Box::new(error)),
            SdkError::ServiceError(answer) => {
                let code = answer.err().code();
                // A success that cannot be read came from something else than ElastiCache.
                let status = answer.raw().status();
                let is_transient = status.is_server_error()
                    || status.is_success()
                    || code.is_some_and(|code| TRANSIENT.contains(&code));
                if answer.err().is_serverless_cache_not_found_fault() {
                    Self::NotFound(name.to_owned())
                } else if is_transient {
                    Self::Away(Box::new(error))
                } else {
                    Self::Refused(Box::new(error))
                }
            }
            _ => Self::Refused(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// An ElastiCache that gives every request the same answer; the bodies of the requests come
    /// out at the other end.
    fn elasticache(status: u16, body: &str) -> (CacheDirectory, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 {status} Answer\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        let (heard, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = String::new();
                let mut buffer = [0; 4096];
                while !request.ends_with("ServerlessCacheName=turnpike-dev") {
                    match stream.read(&mut buffer).unwrap() {
                        0 => break,
                        read => request.push_str(&String::from_utf8_lossy(&buffer[..read])),
                    }
                }
                stream.write_all(answer.as_bytes()).unwrap();
                let _ = heard.send(request);
            }
        });
        (directory(&address), requests)
    }

    fn directory(address: &str) -> CacheDirectory {
        let env = Environment::default()
            .with("AWS_REGION", "eu-central-1")
            .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with("AWS_SECRET_ACCESS_KEY", "secret")
            .with("AWS_ENDPOINT_URL_ELASTICACHE", address);
        CacheDirectory::from_environment(&env).unwrap()
    }

    fn described(members: &str) -> String {
        format!(
            "<DescribeServerlessCachesResponse xmlns=\"http://elasticache.amazonaws.com/doc/2015-02-02/\">\
             <DescribeServerlessCachesResult><ServerlessCaches>{members}</ServerlessCaches>\
             </DescribeServerlessCachesResult></DescribeServerlessCachesResponse>"
        )
    }

    fn refused(code: &str) -> String {
        format!(
            "<ErrorResponse xmlns=\"http://elasticache.amazonaws.com/doc/2015-02-02/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        )
    }

    #[tokio::test]
    async fn an_available_cache_is_found_by_its_name() {
        let (directory, requests) = elasticache(
            200,
            &described(
                "<member><ServerlessCacheName>turnpike-dev</ServerlessCacheName>\
                 <Status>AVAILABLE</Status><Engine>valkey</Engine>\
                 <MajorEngineVersion>8</MajorEngineVersion><FullEngineVersion>8.1</FullEngineVersion>\
                 <Endpoint><Address>turnpike-dev-abc.serverless.euc1.cache.amazonaws.com</Address>\
                 <Port>6379</Port></Endpoint></member>",
            ),
        );

        let found = directory.describe("turnpike-dev").await.unwrap();

        assert_eq!(
            found,
            CacheDescription {
                status: "available".into(),
                endpoint: Some(HostAndPort {
                    host: "turnpike-dev-abc.serverless.euc1.cache.amazonaws.com".into(),
                    port: 6379,
                }),
                engine: "valkey".into(),
                engine_version: "8.1".into(),
            }
        );
        assert!(found.is_serving());
        let request = requests.recv().unwrap();
        assert!(
            request.contains("Action=DescribeServerlessCaches"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_cache_that_is_not_there_yet_has_no_endpoint() {
        let (directory, _requests) = elasticache(
            200,
            &described(
                "<member><Status>creating</Status><Engine>valkey</Engine>\
                 <MajorEngineVersion>8</MajorEngineVersion></member>",
            ),
        );

        let found = directory.describe("turnpike-dev").await.unwrap();

        assert_eq!(
            (found.status.as_str(), found.endpoint.clone()),
            ("creating", None)
        );
        assert_eq!(found.engine_version, "8");
        assert!(!found.is_serving());
    }

    #[test]
    fn a_cache_serves_while_it_is_available_or_being_modified() {
        let endpoint = HostAndPort {
            host: "cache".into(),
            port: 6379,
        };
        for (status, expected) in [
            ("available", true),
            ("modifying", true),
            ("creating", false),
            ("deleting", false),
            ("create-failed", false),
            ("", false),
        ] {
            let description = CacheDescription {
                status: status.into(),
                endpoint: Some(endpoint.clone()),
                engine: "valkey".into(),
                engine_version: "8.1".into(),
            };
            assert_eq!(description.is_serving(), expected, "{status:?}");
        }
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_apart() {
        let cases = [
            (
                404,
                refused("ServerlessCacheNotFoundFault"),
                "there is no serverless cache",
            ),
            (200, described(""), "there is no serverless cache"),
            (403, refused("AccessDenied"), "refused"),
            (403, refused("InvalidClientTokenId"), "refused"),
            (400, refused("InvalidParameterValue"), "refused"),
            (200, "this is no XML".into(), "away"),
            (400, refused("Throttling"), "away"),
            (503, refused("ServiceUnavailable"), "away"),
            (500, String::new(), "away"),
        ];

        for (status, body, expected) in cases {
            let (directory, _requests) = elasticache(status, &body);
            let error = directory.describe("turnpike-dev").await.unwrap_err();
            assert!(
                error.to_string().contains(expected),
                "{status} {body}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_elasticache_that_nobody_answers_for_is_away() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();

        let error = directory(&format!("http://{free}"))
            .describe("turnpike-dev")
            .await
            .unwrap_err();

        assert!(matches!(error, LookupError::Away(_)), "{error:?}");
    }
}
