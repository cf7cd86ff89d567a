//! Closes the month of a thousand and of ten thousand users with the function `quota-reset`, and
//! prints how many it settled in a second and how much memory it took.
//!
//! The engine, an embedded DynamoDB over HTTP, is a process of its own, so that the memory is the
//! function's alone. The first run has a month to close for everybody; the second, an hour later in
//! a deployed stage, has nothing to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dynoxide::Database;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::net::TcpListener;
use turnpike_local::create_tables;
use turnpike_local::template::Template;
use turnpike_quota_reset::{App, Event};
use turnpike_shared::auth::{PasswordHash, Role, Tier, User};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{Environment, Tables};
use turnpike_shared::ids::{UserId, unprefixed};
use turnpike_shared::limits::policy::Mode;
use turnpike_shared::limits::{Ask, Check, Period, Source, Subject, Window, WindowId};
use turnpike_shared::runtime::{EventFunction as _, Invocation};
use turnpike_shared::stores::{AccountStore, DynamoDb, DynamoDbEngine, NewAccount, Verification};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SIZES: [u32; 2] = [1_000, 10_000];
const BUDGET: Duration = Duration::from_secs(5);
const TABLES: [(&str, &str); 4] = [
    ("TURNPIKE_CREDENTIALS_TABLE", "CredentialsTable"),
    ("TURNPIKE_IDENTITY_TABLE", "IdentityTable"),
    ("TURNPIKE_ADMISSION_TABLE", "AdmissionTable"),
    ("TURNPIKE_USAGE_TABLE", "UsageTable"),
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("engine"), None) => serve_engine().await,
        (Some("run"), Some(endpoint)) => run(&endpoint).await,
        (None, None) => measure().await,
        _ => Err("usage: quota-reset".into()),
    }
}

async fn measure() -> Result<(), Failure> {
    print("| users | run | seconds | users a second | memory at most |")?;
    print("|---:|---|---:|---:|---:|")?;
    for users in SIZES {
        let (engine, endpoint) = start_engine()?;
        let outcome = measure_at(&endpoint, users).await;
        stop(engine)?;
        outcome?;
    }
    Ok(())
}

async fn measure_at(endpoint: &str, users: u32) -> Result<(), Failure> {
    seed(endpoint, users).await?;
    let run = Command::new(std::env::current_exe()?)
        .args(["run", endpoint])
        .status()?;
    let has_run = run.success().then_some(());
    has_run.ok_or_else(|| "the function failed".into())
}

/// Starts the engine in a process of its own, and waits until it says where it is.
fn start_engine() -> Result<(Child, String), Failure> {
    let mut engine = Command::new(std::env::current_exe()?)
        .arg("engine")
        .stdout(Stdio::piped())
        .spawn()?;
    let output = engine.stdout.take().ok_or("the engine has no output")?;
    let mut endpoint = String::new();
    BufReader::new(output).read_line(&mut endpoint)?;
    Ok((engine, endpoint.trim().to_owned()))
}

fn stop(mut engine: Child) -> Result<(), Failure> {
    engine.kill()?;
    engine.wait()?;
    Ok(())
}

async fn serve_engine() -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    print(&format!("http://{}", listener.local_addr()?))?;
    let database = Database::memory().map_err(|error| error.to_string())?;
    dynoxide::server::serve_on(listener, database).await;
    Ok(())
}

/// Users with something counted in the month before this one.
async fn seed(endpoint: &str, users: u32) -> Result<(), Failure> {
    let env = environment(endpoint);
    let dynamodb = DynamoDb::from_environment(&env)?;
    create_tables(&dynamodb, &Template::embedded()?).await?;
    let accounts = AccountStore::new(&dynamodb, Tables::read(&env)?);
    let engine = DynamoDbEngine::new(&dynamodb, "AdmissionTable".to_owned(), BUDGET);
    let now = Clock::system().now();
    let then = Period::of(now).start().minus(Duration::from_hours(240));
    let seeds = futures_util::stream::iter(0..users)
        .map(|number| seed_user(&accounts, &engine, number, then))
        .buffer_unordered(4);
    seeds.try_collect().await
}

async fn seed_user(
    accounts: &AccountStore,
    engine: &DynamoDbEngine,
    number: u32,
    then: Timestamp,
) -> Result<(), Failure> {
    let user = user(number, then)?;
    let subject = Subject::User(user.id);
    let account = NewAccount {
        user,
        password: PasswordHash::stored("none".to_owned()),
        session: None,
        verification: Verification::AlreadyDone,
    };
    accounts.register(&account, then).await?;
    let checks = [month(u64::from(number % 100) + 1)];
    let ask = Ask {
        subject: &subject,
        proof: None,
        checks: &checks,
        now: then,
    };
    engine.decide(&ask).await?;
    Ok(())
}

fn user(number: u32, made_at: Timestamp) -> Result<User, Failure> {
    Ok(User {
        id: UserId::new(made_at),
        email: format!("{number}-{}@example.com", unprefixed(made_at)).parse()?,
        full_name: None,
        tier: Tier::free(),
        roles: vec![Role::User],
        is_active: true,
        is_verified: true,
        created_at: made_at,
        updated_at: made_at,
        quota_override: None,
        keys_revoked: None,
        epoch: 1,
    })
}

fn month(cost: u64) -> Check {
    Check {
        name: "month".into(),
        id: WindowId::MONTH,
        limit: 20_000,
        window: Window::Month,
        cost,
        source: Source::Tier,
        mode: Mode::Enforce,
    }
}

/// Runs the function twice, and prints a line of the table for each run.
async fn run(endpoint: &str) -> Result<(), Failure> {
    let app = App::from_environment(environment(endpoint)).await?;
    for what in ["a month to close for everybody", "nothing to do"] {
        let invocation = Invocation {
            request_id: "bench".to_owned(),
            deadline: Clock::system().now().plus(Duration::from_mins(15)),
        };
        let begun = Instant::now();
        let report = app.handle(Event::default(), invocation).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let per_second = f64::from(u32::try_from(report.users)?) / seconds;
        let memory = peak_mebibytes()?;
        print(&format!(
            "| {} | {what} | {seconds:.1} | {per_second:.0} | {memory:.1} MiB |",
            report.users
        ))?;
    }
    Ok(())
}

/// The most memory that this process has had so far.
fn peak_mebibytes() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.split_whitespace().next());
    let kibibytes: f64 = kibibytes.ok_or("no VmHWM in /proc/self/status")?.parse()?;
    Ok(kibibytes / 1024.0)
}

fn environment(endpoint: &str) -> Environment {
    let env = Environment::default()
        .with("TURNPIKE_ENVIRONMENT", "testing")
        .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "bench")
        .with("AWS_SECRET_ACCESS_KEY", "bench")
        .with("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
    TABLES
        .into_iter()
        .fold(env, |env, (variable, table)| env.with(variable, table))
}

fn print(line: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
