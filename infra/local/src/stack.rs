//! The stack, started and stopped.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use turnpike_shared::admission::{AdmissionParts, Budgets, Refusals};
use turnpike_shared::afterwards::Afterwards;
use turnpike_shared::auth::PasswordHasher;
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig, Tables};
use turnpike_shared::failed_sign_ins::FailedSignIns;
use turnpike_shared::limits::policy::{Policy, PolicyError};
use turnpike_shared::stores::{AccountStore, DynamoDb, StoreError};
use turnpike_shared::upstreams::BreakerMemory;
use turnpike_shared::usage_recorder::UsageRecorder;
use turnpike_system::DetailsAccess;

use crate::admin::{self, FirstAdmin};
use crate::connector;
use crate::engine::{self, Embedded, Engine};
use crate::environment::{of_stack, on_aws, on_own_engine};
use crate::events::{EventFunctions, Events, FollowError, Follower};
use crate::gateway::Gateway;
use crate::local_routes;
use crate::mailbox::{Mailbox, MailboxError};
use crate::sample;
use crate::template::{Template, TemplateError};

/// How a stack is to be started.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Where to keep the embedded engine's data; `None` keeps it in memory.
    pub data: Option<PathBuf>,
    pub engine: Engine,
    /// A Valkey to decide limits with, as `redis://host:port`; without one, DynamoDB does.
    pub valkey: Option<String>,
    /// A policy instead of the built-in one, read anew within a minute of a change.
    pub policy: Option<PathBuf>,
    /// How long an engine of limits may take.
    pub budgets: Budgets,
    /// What is set here wins over the stack's own values.
    pub env: Environment,
    pub clock: Clock,
    pub hasher: PasswordHasher,
}

/// Why the stack cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("{0}: {1}")]
    Data(PathBuf, io::Error),
    #[error("the DynamoDB engine: {0}")]
    Engine(String),
    #[error("the keys: {0}")]
    Keys(String),
    #[error("{0}")]
    Admin(String),
    #[error("--dynamodb aws: {0}")]
    Aws(String),
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the local stack's own policy")]
    Policy(#[from] PolicyError),
    #[error("the function admin cannot start")]
    AdminFunction(#[from] turnpike_admin::StartError),
    #[error("the function auth cannot start")]
    Auth(#[from] turnpike_auth::StartError),
    #[error("the function cache cannot start")]
    Cache(#[from] turnpike_cache::StartError),
    #[error("the function content cannot start")]
    Content(#[from] turnpike_content::StartError),
    #[error("the function query cannot start")]
    Query(#[from] turnpike_query::StartError),
    #[error("the function history cannot start")]
    History(#[from] turnpike_history::StartError),
    #[error("the function audit-writer cannot start")]
    AuditWriter(#[from] turnpike_audit_writer::StartError),
    #[error("the function authorizer cannot start")]
    Authorizer(#[from] turnpike_authorizer::StartError),
    #[error("the function quota-reset cannot start")]
    QuotaReset(#[from] turnpike_quota_reset::StartError),
    #[error("the function users cannot start")]
    Users(#[from] turnpike_users::StartError),
    #[error("the database does not do as it should")]
    Store(#[from] StoreError),
    #[error("the template's tables cannot be made")]
    Table(#[from] aws_sdk_dynamodb::error::BuildError),
}

/// Why the stack does not come to rest.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    #[error(transparent)]
    Follow(#[from] FollowError),
}

/// A running stack.
pub struct Stack {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The address to put in front of a path.
    pub base: String,
    /// The first admin, where the stack made the tables itself.
    pub admin: Option<FirstAdmin>,
    /// Where mails can be read, where that is safe: on a loopback address.
    pub mailbox: Option<String>,
    /// The embedded engine, for whoever wants to look past the functions.
    pub database: Option<dynoxide::Database>,
    embedded: Option<Embedded>,
    /// Held as long as the stack runs.
    _lock: Option<File>,
    /// Takes the records of all functions.
    pub recorder: UsageRecorder,
    /// What the functions do after their answers.
    afterwards: Afterwards,
    mailer: Option<Mailbox>,
    followers: Vec<Arc<Follower>>,
    /// What runs beside the requests: the recorder, the mailer, the followers, the schedules.
    background: Vec<JoinHandle<()>>,
    failed_sign_ins: FailedSignIns,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl Stack {
    /// Starts everything and returns once requests are answered.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let template = Template::embedded()?;
        let Options {
            addr,
            data,
            engine,
            valkey,
            policy,
            budgets,
            env,
            clock,
            hasher,
        } = options;
        let lock = data.as_deref().map(own_folder).transpose()?;
        let listener = listen(addr).await?;
        let addr = listener.local_addr()?;
        let base = format!("http://{addr}");
        let env = of_stack(env, &base, valkey);
        let (embedded, env) = open_engine(&engine, env, &template, data.as_deref()).await?;
        let stage = StageConfig::read(&env)?;
        let tables = Tables::read(&env)?;
        let dynamodb = client_of(embedded.as_ref(), &env)?;
        if engine != Engine::Aws {
            engine::create_tables(&dynamodb, &template).await?;
        }
        let accounts = AccountStore::new(&dynamodb, tables.clone());
        let admin = match &embedded {
            Some(_) => Some(admin::ensure(&accounts, &hasher, &env, &clock).await?),
            None => None,
        };
        let mailbox = match &embedded {
            Some(Embedded { database, .. }) => Some(Mailbox::open(
                accounts,
                database.clone(),
                tables.users.identity.clone(),
                config::app_url(&env, &stage)?,
                clock.clone(),
                data.as_deref(),
            )?),
            None => None,
        };
        let has_local_routes = embedded.is_some() && addr.ip().is_loopback();
        let recorder = UsageRecorder::from_environment(&env, &dynamodb, clock.clone())?;
        let afterwards = Afterwards::default();
        let admission = AdmissionParts {
            dynamodb,
            clock: clock.clone(),
            budgets,
            policy,
            default_policy: default_policy(has_local_routes.then_some(base.as_str()))?,
            refusals: Refusals::default(),
            recorder: recorder.clone(),
            afterwards: afterwards.clone(),
            breakers: BreakerMemory::default(),
        };
        let events = events_of(&template, embedded.as_ref(), &env, &admission).await?;
        let local = (mailbox.as_ref().zip(events.as_ref()))
            .filter(|_| has_local_routes)
            .map(|(mailbox, events)| {
                let functions = Arc::clone(&events.functions);
                local_routes::router(mailbox.clone(), functions, addr, &base, clock.clone())
            });
        let mailbox_url = local.as_ref().map(|_| format!("{base}/_local/mail"));
        let HttpFunctions {
            routers,
            failed_sign_ins,
        } = functions(&env, admission, hasher).await?;
        let gateway = Gateway::new(template.routes, routers, local).map_err(StartError::Engine)?;

        let (stop, server) = serve(listener, gateway);
        let followers = events.as_ref().map(|events| events.followers.clone());
        let mut background = events.map(Events::run).unwrap_or_default();
        background.extend(mailbox.clone().map(|mailbox| tokio::spawn(mailbox.run())));
        background.push(tokio::spawn(recorder.clone().run()));
        background.push(tokio::spawn(failed_sign_ins.clone().run()));
        Ok(Self {
            addr,
            base,
            admin,
            mailbox: mailbox_url,
            database: embedded.as_ref().map(|embedded| embedded.database.clone()),
            embedded,
            _lock: lock,
            recorder,
            afterwards,
            mailer: mailbox,
            followers: followers.unwrap_or_default(),
            background,
            failed_sign_ins,
            stop,
            server,
        })
    }

    /// Writes the records that wait, and lets everything that follows a stream catch up, and what
    /// follows from that, until nothing is left; an event that fails ends it.
    pub async fn settle(&self) -> Result<(), SettleError> {
        self.afterwards.done().await;
        self.recorder.flush().await;
        self.failed_sign_ins.flush_if_due().await;
        loop {
            let mut was_idle = true;
            if let Some(mailer) = &self.mailer {
                was_idle &= !mailer.deliver().await?;
            }
            for follower in &self.followers {
                was_idle &= !follower.advance().await?;
            }
            if was_idle {
                return Ok(());
            }
        }
    }

    /// Lets running requests finish and stops.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        for task in &self.background {
            task.abort();
        }
        let patience = std::time::Duration::from_secs(5);
        if tokio::time::timeout(patience, self.server).await.is_err() {
            tracing::warn!("requests were still running when the stack stopped");
        }
        let flush = async {
            self.afterwards.done().await;
            tokio::join!(self.recorder.flush(), self.failed_sign_ins.flush())
        };
        if tokio::time::timeout(patience, flush).await.is_err() {
            tracing::warn!("records were still waiting when the stack stopped");
        }
        if let Some(embedded) = self.embedded {
            embedded.close();
        }
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(addr).await;
    listener.map_err(|error| StartError::Listen(addr, error))
}

/// Answers requests, until it is told to stop or nobody is left who could say so.
fn serve(
    listener: TcpListener,
    gateway: Gateway,
) -> (oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let service = gateway
        .into_router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    (stop, tokio::spawn(serving.into_future()))
}

/// Makes the folder of the data, for its owner's eyes only, and takes it for this process alone:
/// two would hand on each other's mails and keys.
fn own_folder(folder: &Path) -> Result<File, StartError> {
    let failed = |error: io::Error| StartError::Data(folder.to_owned(), error);
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens the engine if it is the stack's own, and completes the environment for it.
async fn open_engine(
    engine: &Engine,
    env: Environment,
    template: &Template,
    data: Option<&Path>,
) -> Result<(Option<Embedded>, Environment), StartError> {
    Ok(match engine {
        Engine::Embedded => {
            let env = on_own_engine(env, template, data)?;
            (
                Some(Embedded::open(data)?),
                env.or("TURNPIKE_MAIL", "mailbox"),
            )
        }
        Engine::At(endpoint) => {
            let env = on_own_engine(env, template, data)?;
            (None, env.with("AWS_ENDPOINT_URL_DYNAMODB", endpoint))
        }
        Engine::Aws => (None, on_aws(env).await?),
    })
}

/// What holds while the table has no policy. What answers here alone can be an upstream here alone.
fn default_policy(with_local_routes_at: Option<&str>) -> Result<Arc<Policy>, PolicyError> {
    with_local_routes_at.map_or_else(|| Ok(Policy::built_in()), sample::with_library)
}

/// A client of the engine; one that is embedded is reached without a port in between.
fn client_of(embedded: Option<&Embedded>, env: &Environment) -> Result<DynamoDb, ConfigError> {
    match embedded {
        Some(embedded) => DynamoDb::through(connector::http_client(embedded.database.clone()), env),
        None => DynamoDb::from_environment(env),
    }
}

/// The event functions at work. On a stage's own tables those of the stage are.
async fn events_of(
    template: &Template,
    embedded: Option<&Embedded>,
    env: &Environment,
    parts: &AdmissionParts,
) -> Result<Option<Events>, StartError> {
    let Some(embedded) = embedded else {
        return Ok(None);
    };
    let functions = event_functions(template, env, parts).await?;
    Events::of(template, embedded, functions).map(Some)
}

/// Every event function of the template, by the name that it is invoked with.
async fn event_functions(
    template: &Template,
    env: &Environment,
    parts: &AdmissionParts,
) -> Result<EventFunctions, StartError> {
    let mut functions = EventFunctions::new(parts.clock.clone(), template.timeouts.clone());
    let (dynamodb, clock) = (&parts.dynamodb, parts.clock.clone());
    let audit_writer = turnpike_audit_writer::App::new(env, dynamodb, clock).await?;
    functions.add("audit-writer", audit_writer);
    let rollup = turnpike_usage_rollup::App::new(env, &parts.dynamodb, parts.clock.clone())?;
    functions.add("usage-rollup", rollup);
    let authorizer = turnpike_authorizer::App::new(env, parts.clone()).await?;
    functions.add("authorizer", authorizer);
    let reset = turnpike_quota_reset::App::new(env, parts.clone()).await?;
    functions.add("quota-reset", reset);
    Ok(functions)
}

/// The HTTP functions, and what one of them tells the audit log of.
struct HttpFunctions {
    /// Every one of the template, by its logical id.
    routers: HashMap<String, Router>,
    failed_sign_ins: FailedSignIns,
}

async fn functions(
    env: &Environment,
    admission: AdmissionParts,
    hasher: PasswordHasher,
) -> Result<HttpFunctions, StartError> {
    let parts = turnpike_system::Parts {
        dynamodb: admission.dynamodb.clone(),
        details: DetailsAccess::Everybody,
        clock: admission.clock.clone(),
    };
    let system = turnpike_system::App::new(env, parts)?;
    let admin = turnpike_admin::App::new(env.clone(), admission.clone()).await?;
    let users = turnpike_users::App::new(env.clone(), admission.clone()).await?;
    let cache = turnpike_cache::App::new(env.clone(), admission.clone()).await?;
    let content = turnpike_content::App::new(env.clone(), admission.clone()).await?;
    let query = turnpike_query::App::new(env.clone(), admission.clone()).await?;
    let history = turnpike_history::App::new(env.clone(), admission.clone()).await?;
    let parts = turnpike_auth::Parts { admission, hasher };
    let auth = turnpike_auth::App::new(env.clone(), parts).await?;
    Ok(HttpFunctions {
        failed_sign_ins: auth.failed_sign_ins(),
        routers: HashMap::from([
            ("AdminFunction".to_owned(), turnpike_admin::router(admin)),
            ("AuthFunction".to_owned(), turnpike_auth::router(auth)),
            ("CacheFunction".to_owned(), turnpike_cache::router(cache)),
            (
                "ContentFunction".to_owned(),
                turnpike_content::router(content),
            ),
            ("QueryFunction".to_owned(), turnpike_query::router(query)),
            (
                "HistoryFunction".to_owned(),
                turnpike_history::router(history),
            ),
            ("SystemFunction".to_owned(), turnpike_system::router(system)),
            ("UsersFunction".to_owned(), turnpike_users::router(users)),
        ]),
    })
}
