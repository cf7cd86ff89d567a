//! The link to Valkey: made ahead of the first request, given up at the first command that fails
//! or takes too long, and made anew beside the requests.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates, Value,
};
use secrecy::ExposeSecret;

use super::endpoint::CacheDirectory;
use super::iam::{AwsCredentials, connect_token};
use crate::clock::{Clock, Timestamp};
use crate::config::{
    ConfigError, Environment, Login, ServerlessCache, Topology, Transport, ValkeyConfig,
    ValkeyServer, aws_region,
};
use crate::errors::chain;
use crate::stores::AMAZON_ROOTS;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a link is used: ElastiCache ends connections that were signed in to with IAM after 12
/// hours (ElastiCache User Guide, "Authenticating with IAM").
const RELINK_AFTER: Duration = Duration::from_hours(11);
/// How many budgets a command may take while the server answers others.
const MAX_PATIENCE: usize = 5;
/// How long after a try the next one may begin.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct ValkeyAddress {
    /// `redis://` or `rediss://`, with host and port.
    pub url: String,
    /// Whether the server is a cluster, as ElastiCache Serverless is.
    pub is_cluster: bool,
}

/// Where the server is and who signs in to it.
enum Target {
    Known(ValkeyAddress, Option<Login>),
    /// Looked up and signed in to anew for every connection: a token lives 15 minutes.
    Serverless {
        cache: ServerlessCache,
        directory: CacheDirectory,
        credentials: AwsCredentials,
        region: String,
    },
}

/// A connection, and since when what it finds may be trusted.
#[derive(Clone)]
pub(crate) struct Live {
    connection: Connection,
    /// The server's time when the link was made: copies that were made before may be from before
    /// an outage that this instance has not seen.
    pub(crate) trusted_since: Timestamp,
    /// Which link this is: each one made has a higher number.
    pub(crate) made: u64,
    made_at: Instant,
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// How the link is, for `/health` and the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    Up,
    Down { since: Timestamp },
}

/// Why Valkey gave no sign of life.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// It cannot be connected to, it did not answer in time, or it says that it is not ready.
    #[error("Valkey is away or too slow")]
    Away(#[source] RedisError),
    /// It takes neither this sign-in nor, after it, this command.
    #[error("Valkey refuses to answer")]
    Refused(#[source] RedisError),
}

/// The link of one process, shared by all of its requests.
#[derive(Clone)]
pub struct ValkeyLink(Arc<Inner>);

struct Inner {
    target: Target,
    clock: Clock,
    budget: Duration,
    live: RwLock<Option<Live>>,
    heard: Mutex<Option<Instant>>,
    attempt: Mutex<Attempt>,
}

struct Attempt {
    is_under_way: bool,
    last: Option<Instant>,
    made: u64,
    down_since: Option<Timestamp>,
}

impl ValkeyLink {
    /// A link whose commands are given up after `budget`. It is not made yet.
    pub fn new(address: ValkeyAddress, clock: Clock, budget: Duration) -> Self {
        Self::to(Target::Known(address, None), clock, budget)
    }

    /// A link to the Valkey that is configured.
    pub fn configured(
        config: ValkeyConfig,
        env: &Environment,
        clock: Clock,
        budget: Duration,
    ) -> Result<Self, ConfigError> {
        let target = match config {
            ValkeyConfig::Server(server) => {
                Target::Known(ValkeyAddress::from(&server), server.login)
            }
            ValkeyConfig::Serverless(cache) => Target::Serverless {
                cache,
                directory: CacheDirectory::from_environment(env)?,
                credentials: AwsCredentials::from_environment(env)?,
                region: aws_region(env)?.to_owned(),
            },
        };
        Ok(Self::to(target, clock, budget))
    }

    fn to(target: Target, clock: Clock, budget: Duration) -> Self {
        let down_since = Some(clock.now());
        Self(Arc::new(Inner {
            target,
            clock,
            budget,
            live: RwLock::new(None),
            heard: Mutex::new(None),
            attempt: Mutex::new(Attempt {
                is_under_way: false,
                last: None,
                made: 0,
                down_since,
            }),
        }))
    }

    /// The live link; without one, a try to make it begins beside the caller, unless one is under
    /// way or has just failed.
    pub(crate) fn live(&self) -> Option<Live> {
        let live = self.at_hand();
        let is_fresh = |live: &Live| live.made_at.elapsed() < RELINK_AFTER;
        if live.as_ref().is_none_or(|live| !is_fresh(live)) && self.claim_attempt(RETRY_AFTER) {
            let link = self.clone();
            tokio::spawn(async move { link.attempt().await });
        }
        live
    }

    fn at_hand(&self) -> Option<Live> {
        let live = self.0.live.read().unwrap_or_else(PoisonError::into_inner);
        live.clone()
    }

    /// How it is.
    pub fn state(&self) -> LinkState {
        let attempt = self
            .0
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match attempt.down_since {
            Some(since) => LinkState::Down { since },
            None => LinkState::Up,
        }
    }

    /// Makes the link and waits for it; for the start. A failure is no reason not to start.
    pub async fn connect(&self) {
        if self.claim_attempt(RETRY_AFTER) {
            // What came of it is in the log.
            let _ = self.attempt().await;
        }
    }

    /// Asks the server for a sign of life. Without a link it connects first, within a second. A
    /// link that stood before is no proof when it fails: the server may have closed it while
    /// nobody looked, so it is given up and made anew once. Every `PING` has the budget of any
    /// other command.
    ///
    /// It does not heed the pause between tries to connect: whoever calls it sees to that. While
    /// somebody else is connecting, the server counts as away.
    pub async fn ping(&self) -> Result<(), PingError> {
        if let Some(live) = self.at_hand()
            && self.ping_on(&live).await.is_ok()
        {
            return Ok(());
        }
        let live = self.connect_anew().await?;
        Ok(self.ping_on(&live).await?)
    }

    async fn ping_on(&self, live: &Live) -> RedisResult<()> {
        let answer: RedisResult<Value> = self.query(live, &redis::cmd("PING")).await;
        answer.map(|_| ())
    }

    /// Connects in a task of its own, so that a caller who goes away does not leave a try behind
    /// that never ends.
    async fn connect_anew(&self) -> RedisResult<Live> {
        let busy = || RedisError::from((ErrorKind::Io, "a connection is being made"));
        if !self.claim_attempt(Duration::ZERO) {
            return Err(busy());
        }
        let link = self.clone();
        let attempt = tokio::spawn(async move { link.attempt().await });
        attempt.await.unwrap_or_else(|_| Err(busy()))?;
        self.at_hand().ok_or_else(busy)
    }

    /// Sends one command within the budget. A failure takes the link down for everybody.
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        live: &Live,
        command: &Cmd,
    ) -> RedisResult<T> {
        let answer = self.patiently(live.send(command)).await;
        match answer.and_then(|value| Ok(redis::from_redis_value::<T>(value)?)) {
            Err(error) if error.code() != Some("NOSCRIPT") => {
                self.give_up(live, &error);
                Err(error)
            }
            answer => answer,
        }
    }

    /// Waits for an answer within the budget. While others get theirs, the server is there and it is
    /// this process that is busy: then it waits on, a bounded number of times, so that a burst is no
    /// outage.
    async fn patiently(
        &self,
        sent: impl Future<Output = RedisResult<redis::Value>>,
    ) -> RedisResult<redis::Value> {
        let mut sent = std::pin::pin!(sent);
        for _ in 0..MAX_PATIENCE {
            let waited_since = Instant::now();
            if let Ok(answer) = tokio::time::timeout(self.0.budget, &mut sent).await {
                *self.heard() = Some(Instant::now());
                return answer;
            }
            if self.heard().is_none_or(|heard| heard < waited_since) {
                break;
            }
        }
        Err((ErrorKind::Io, "no answer within the budget").into())
    }

    /// When the server last answered anybody.
    fn heard(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the link down, unless it has been made anew since.
    fn give_up(&self, live: &Live, error: &RedisError) {
        let mut current = self.0.live.write().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|current| current.made == live.made)
        {
            *current = None;
            let mut attempt = self
                .0
                .attempt
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            attempt.down_since = Some(self.0.clock.now());
            attempt.last = Some(Instant::now());
            tracing::warn!(cause = %error, "the link to Valkey is down: without it DynamoDB decides limits");
        }
    }

    /// Whether it is this caller's turn to connect: nobody else does, and the last try is `pause`
    /// ago.
    fn claim_attempt(&self, pause: Duration) -> bool {
        let mut attempt = self
            .0
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_too_soon = attempt.last.is_some_and(|last| last.elapsed() < pause);
        if attempt.is_under_way || is_too_soon {
            return false;
        }
        attempt.is_under_way = true;
        true
    }

    async fn attempt(&self) -> RedisResult<()> {
        let made = tokio::time::timeout(CONNECT_TIMEOUT, self.0.open()).await;
        let made = made.unwrap_or_else(|_| {
            Err(RedisError::from((
                ErrorKind::Io,
                "no connection within a second",
            )))
        });
        let mut current = self.0.live.write().unwrap_or_else(PoisonError::into_inner);
        let mut attempt = self
            .0
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        attempt.is_under_way = false;
        attempt.last = Some(Instant::now());
        match made {
            Ok((connection, trusted_since)) => {
                attempt.made += 1;
                attempt.down_since = None;
                *current = Some(Live {
                    connection,
                    trusted_since,
                    made: attempt.made,
                    made_at: Instant::now(),
                });
                tracing::info!("the link to Valkey is up");
                Ok(())
            }
            Err(error) => {
                tracing::debug!(cause = %error, "Valkey is still away");
                Err(error)
            }
        }
    }
}

impl Inner {
    async fn open(&self) -> RedisResult<(Connection, Timestamp)> {
        let (address, login, roots) = self.find().await?;
        let mut info = address.url.as_str().into_connection_info()?;
        if let Some(Login { user, password }) = login {
            let mut settings = RedisConnectionInfo::default();
            if let Some(user) = user {
                settings = settings.set_username(user);
            }
            info = info.set_redis_settings(settings.set_password(password.expose_secret()));
        }
        let connection = if address.is_cluster {
            let mut builder = ClusterClient::builder([info])
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(CONNECT_TIMEOUT)
                .retries(1);
            if let Some(roots) = roots {
                builder = builder.certs(roots);
            }
            Connection::Cluster(builder.build()?.get_async_connection().await?)
        } else {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(CONNECT_TIMEOUT));
            let client = Client::open(info)?;
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            Connection::Single(connection.await?)
        };
        let (seconds, micros): (i64, i64) =
            redis::from_redis_value(connection.send(&redis::cmd("TIME")).await?)?;
        let now = if self.clock.is_shifted() {
            self.clock.now()
        } else {
            Timestamp::from_millis(seconds * 1_000 + micros / 1_000)
        };
        Ok((connection, now))
    }
}

impl Inner {
    /// Where the server is now, who signs in, and what its certificate chains to if that is known.
    async fn find(&self) -> RedisResult<(ValkeyAddress, Option<Login>, Option<TlsCertificates>)> {
        match &self.target {
            Target::Known(address, login) => Ok((address.clone(), login.clone(), None)),
            Target::Serverless {
                cache,
                directory,
                credentials,
                region,
            } => {
                let found = directory.describe(&cache.name).await.map_err(not_found)?;
                let endpoint = found.endpoint.ok_or_else(|| {
                    RedisError::from((ErrorKind::Io, "the cache has no endpoint yet"))
                })?;
                let now = self.clock.now();
                let token = connect_token(&cache.name, &cache.user, region, credentials, now);
                let login = Login {
                    user: Some(cache.user.clone()),
                    password: token.map_err(not_found)?,
                };
                let address = ValkeyAddress {
                    url: format!("rediss://{}:{}", endpoint.host, endpoint.port),
                    is_cluster: true,
                };
                let roots = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(AMAZON_ROOTS.to_vec()),
                };
                Ok((address, Some(login), Some(roots)))
            }
        }
    }
}

impl From<RedisError> for PingError {
    fn from(error: RedisError) -> Self {
        use ServerErrorKind::{NoPerm, ResponseError};
        match error.kind() {
            ErrorKind::AuthenticationFailed
            | ErrorKind::Extension
            | ErrorKind::Server(NoPerm | ResponseError) => Self::Refused(error),
            _ => Self::Away(error),
        }
    }
}

fn not_found(error: impl std::error::Error + 'static) -> RedisError {
    (ErrorKind::Io, "the cache cannot be reached", chain(&error)).into()
}

impl From<&ValkeyServer> for ValkeyAddress {
    fn from(server: &ValkeyServer) -> Self {
        let scheme = match server.transport {
            Transport::Plain => "redis",
            Transport::Tls => "rediss",
        };
        let host = if server.host.contains(':') {
            format!("[{}]", server.host)
        } else {
            server.host.clone()
        };
        Self {
            url: format!("{scheme}://{host}:{}", server.port),
            is_cluster: server.topology == Topology::Cluster,
        }
    }
}

impl Live {
    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        self.connection.send(command).await
    }
}

impl Connection {
    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(connection) => connection.clone().req_packed_command(command).await,
            Self::Cluster(connection) => connection.clone().req_packed_command(command).await,
        };
        // An error that the server answers with comes as a value.
        answer.and_then(Value::extract_error)
    }
}
