//! Asks each engine of limits for decisions, and a server for a counter and for GCRA besides, and
//! prints how long each took, as JSON.
//!
//! `engines URL` takes the address of a Valkey or Redis server. All of its commands go the same
//! way: one connection of the same client, whichever of the four asks. The ways take turns in many
//! short rounds, so that what the machine does meanwhile falls on all of them. The engine on
//! DynamoDB asks an embedded one over HTTP, which runs in this process on a thread of its own.
//!
//! `engines serve` prints that one's address instead, and serves it until it is ended.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dynoxide::Database;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use turnpike_shared::auth::session::SessionOrigin;
use turnpike_shared::auth::{PasswordHash, Session, Tier, User};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{Environment, Tables, UserTables};
use turnpike_shared::ids::{UserId, unprefixed};
use turnpike_shared::limits::policy::Mode;
use turnpike_shared::limits::{
    Ask, Check, MemoryEngine, Proof, Source, Subject, Verdict, Window, WindowId,
};
use turnpike_shared::stores::{
    AccountStore, DynamoDb, DynamoDbEngine, NewAccount, ValkeyAddress, ValkeyEngine, ValkeyLink,
    Verification, client_of_engine,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CALLERS: usize = 16;
const ROUNDS: usize = 25;
/// Rounds that nobody counts: connections are made, blocks leased, code loaded.
const WARM_UPS: usize = 2;
/// Generous: an answer that is late is a figure here, no outage.
const BUDGET: Duration = Duration::from_secs(5);
/// Far beyond what is asked for, so that nothing is refused.
const LIMIT: u64 = 1_000_000_000;
/// GCRA's limit in an hour, and the microseconds from one request to the next that it means: not as
/// far beyond, so that the key is there from one request to the next, as the windows are.
const BURST: u64 = 1_000_000;
const INTERVAL_MICROS: u64 = 3_600;
const TABLES: [&str; 3] = ["CredentialsTable", "IdentityTable", "AdmissionTable"];

/// A way of deciding, and how many decisions a round of it is.
#[derive(Clone)]
enum Way {
    Increment(MultiplexedConnection),
    Gcra(MultiplexedConnection, redis::Script),
    Memory(MemoryEngine),
    DynamoDb(DynamoDbEngine),
    Valkey(Box<ValkeyEngine>),
}

/// Somebody who is signed in, with the limits of a typical request.
#[derive(Clone)]
struct Caller {
    subject: Subject,
    proof: Proof,
    checks: [Check; 4],
}

/// The times of one way.
#[derive(Default)]
struct Times {
    each: Vec<Duration>,
    all: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let url = std::env::args()
        .nth(1)
        .ok_or("usage: engines URL | engines serve")?;
    let endpoint = start_dynamodb()?;
    if url == "serve" {
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{endpoint}")?;
        std::future::pending::<()>().await;
    }
    let dynamodb = DynamoDb::from_environment(&environment(&endpoint))?;
    create_tables(&dynamodb).await?;
    let callers = register_callers(&dynamodb).await?;
    let ways = ways(&url, &dynamodb).await?;

    let mut figures = vec![];
    for concurrency in [1, CALLERS] {
        let mut times: Vec<Times> = ways.iter().map(|_| Times::default()).collect();
        for round in 0..WARM_UPS + ROUNDS {
            for (way, times) in ways.iter().zip(&mut times) {
                let took = run_round(way, &callers[..concurrency]).await?;
                if round >= WARM_UPS {
                    times.each.extend(took.each);
                    times.all += took.all;
                }
            }
        }
        for (way, times) in ways.iter().zip(times) {
            figures.push(figure(way.name(), concurrency, times));
        }
    }
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    {
        println!("{}", serde_json::Value::from(figures));
    }
    Ok(())
}

fn figure(way: &str, concurrency: usize, mut times: Times) -> serde_json::Value {
    times.each.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.each.len() * percent).div_ceil(100).max(1);
        times.each.get(rank - 1).map_or(0, Duration::as_nanos)
    };
    let count = u32::try_from(times.each.len()).unwrap_or(u32::MAX);
    json!({
        "way": way,
        "concurrency": concurrency,
        "per_second": f64::from(count) / times.all.as_secs_f64(),
        "p50_nanos": u64::try_from(at(50)).unwrap_or(u64::MAX),
        "p99_nanos": u64::try_from(at(99)).unwrap_or(u64::MAX),
    })
}

/// Each caller asks, and asks again once it is answered.
async fn run_round(way: &Way, callers: &[Caller]) -> Result<Times, Failure> {
    let begun = Instant::now();
    let each = way.decisions_of_a_round() / callers.len();
    let mut asking = JoinSet::new();
    for caller in callers {
        let (way, caller) = (way.clone(), caller.clone());
        asking.spawn(async move {
            let mut times = Vec::with_capacity(each);
            for _ in 0..each {
                let begun = Instant::now();
                way.decide(&caller).await?;
                times.push(begun.elapsed());
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut times = vec![];
    while let Some(asked) = asking.join_next().await {
        times.extend(asked??);
    }
    Ok(Times {
        each: times,
        all: begun.elapsed(),
    })
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Increment(_) => "increment",
            Self::Gcra(..) => "gcra",
            Self::Memory(_) => "memory",
            Self::DynamoDb(_) => "dynamodb",
            Self::Valkey(_) => "valkey",
        }
    }

    fn decisions_of_a_round(&self) -> usize {
        match self {
            Self::Increment(_) | Self::Gcra(..) | Self::Valkey(_) => 1_600,
            Self::Memory(_) => 16_000,
            Self::DynamoDb(_) => 160,
        }
    }

    async fn decide(&self, caller: &Caller) -> Result<(), Failure> {
        let ask = Ask {
            subject: &caller.subject,
            proof: Some(caller.proof),
            checks: &caller.checks,
            now: Clock::system().now(),
        };
        let verdict = match self {
            Self::Increment(connection) => {
                let mut command = redis::cmd("INCR");
                command.arg(format!("{{{}}}:count", caller.subject));
                let counted: i64 = send(connection, &command).await?;
                return positive(counted);
            }
            Self::Gcra(connection, script) => {
                let answer: [i64; 4] = send(connection, &gcra(script, &caller.subject)).await?;
                return positive(answer[0]);
            }
            Self::Memory(engine) => engine.decide(&ask),
            Self::DynamoDb(engine) => engine.decide(&ask).await?,
            Self::Valkey(engine) => engine.decide(&ask).await?,
        };
        match verdict {
            Verdict::Admitted(_) => Ok(()),
            other => Err(format!("not admitted: {other:?}").into()),
        }
    }
}

fn positive(number: i64) -> Result<(), Failure> {
    let is_so = number > 0;
    is_so.then_some(()).ok_or_else(|| "not admitted".into())
}

/// As the link of the functions sends its commands: one shared connection, within a budget.
async fn send<T: redis::FromRedisValue>(
    connection: &MultiplexedConnection,
    command: &Cmd,
) -> Result<T, Failure> {
    let mut connection = connection.clone();
    let answered = tokio::time::timeout(BUDGET, command.query_async(&mut connection)).await;
    Ok(answered??)
}

fn gcra(script: &redis::Script, subject: &Subject) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(1);
    command.arg(format!("{{{subject}}}:gcra"));
    command.arg(BURST).arg(INTERVAL_MICROS).arg(1);
    command
}

async fn ways(url: &str, dynamodb: &DynamoDb) -> Result<Vec<Way>, Failure> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(BUDGET))
        .set_response_timeout(Some(BUDGET));
    let client = redis::Client::open(url)?;
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = connection.await?;
    let script = redis::Script::new(include_str!("../gcra.lua"));
    script.prepare_invoke().load_async(&mut connection).await?;

    let clock = Clock::system();
    let address = ValkeyAddress {
        url: url.to_owned(),
        is_cluster: false,
    };
    let link = ValkeyLink::new(address, clock.clone(), BUDGET);
    link.connect().await;
    let truth = DynamoDbEngine::new(dynamodb, TABLES[2].to_owned(), BUDGET);
    Ok(vec![
        Way::Increment(connection.clone()),
        Way::Gcra(connection, script),
        Way::Valkey(Box::new(ValkeyEngine::new(link, truth.clone(), clock))),
        Way::Memory(MemoryEngine::default()),
        Way::DynamoDb(truth),
    ])
}

/// The embedded engine, on a free port; its address.
fn start_dynamodb() -> Result<String, Failure> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let database = Database::memory().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if let Ok(listener) = TcpListener::from_std(listener) {
                dynoxide::server::serve_on(listener, database).await;
            }
        });
    });
    Ok(endpoint)
}

fn environment(endpoint: &str) -> Environment {
    Environment::default()
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "bench")
        .with("AWS_SECRET_ACCESS_KEY", "bench")
        .with("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
}

async fn create_tables(dynamodb: &DynamoDb) -> Result<(), Failure> {
    let client = client_of_engine(dynamodb);
    for table in TABLES {
        let mut request = client
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind);
            request = request
                .attribute_definitions(attribute.build()?)
                .key_schema(key.build()?);
        }
        request.send().await?;
    }
    Ok(())
}

async fn register_callers(dynamodb: &DynamoDb) -> Result<Vec<Caller>, Failure> {
    let tables = Tables {
        credentials: TABLES[0].to_owned(),
        users: UserTables {
            identity: TABLES[1].to_owned(),
            admission: TABLES[2].to_owned(),
        },
    };
    let accounts = AccountStore::new(dynamodb, tables);
    let mut callers = vec![];
    for _ in 0..CALLERS {
        callers.push(Caller::register(&accounts).await?);
    }
    Ok(callers)
}

impl Caller {
    async fn register(accounts: &AccountStore) -> Result<Self, Failure> {
        let now = Clock::system().now();
        let user = User {
            id: UserId::new(now),
            email: format!("{}@example.com", unprefixed(now)).parse()?,
            full_name: None,
            tier: Tier::free(),
            roles: vec![],
            is_active: true,
            is_verified: true,
            created_at: now,
            updated_at: now,
            quota_override: None,
            keys_revoked: None,
            epoch: 1,
        };
        let session = Session::begin(user.id, &SessionOrigin::default(), now);
        let proof = Proof {
            epoch: user.epoch,
            session: Some(session.id),
        };
        let account = NewAccount {
            user: user.clone(),
            password: PasswordHash::stored("none".to_owned()),
            session: Some(session),
            verification: Verification::AlreadyDone,
        };
        accounts.register(&account, now).await?;
        Ok(Self {
            subject: Subject::User(user.id),
            proof,
            checks: [
                check("hour", WindowId::HOUR, Window::HOUR, Source::Tier),
                check("day", WindowId::DAY, Window::DAY, Source::Tier),
                check("month", WindowId::MONTH, Window::Month, Source::Tier),
                check(
                    "requests",
                    WindowId::named("requests", 60),
                    Window::Sliding { seconds: 60 },
                    Source::Class,
                ),
            ],
        })
    }
}

fn check(name: &'static str, id: WindowId, window: Window, source: Source) -> Check {
    Check {
        name: name.into(),
        id,
        limit: LIMIT,
        window,
        cost: 1,
        source,
        mode: Mode::Enforce,
    }
}
