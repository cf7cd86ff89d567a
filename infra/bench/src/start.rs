//! How long a function takes from its start to the first request for an event.
//!
//! The Lambda runtime API is a socket here: it takes an extension, and leaves the request for the
//! first event unanswered, as Lambda does until there is one. DynamoDB is a server that holds nothing: a start
//! asks it for the policy, and tells it the public keys.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::error::BenchError;
use crate::statistics::Sample;

pub(crate) const RUNS: usize = 40;
/// Runs that nobody counts, which bring the programs into the page cache.
const WARM_UPS: usize = 2;
const PATIENCE_SECONDS: u64 = 10;
const FIRST_REQUEST: &str = "GET /2018-06-01/runtime/invocation/next ";
const REGISTRATION: &str = "POST /2020-01-01/extension/register ";
/// What Lambda answers to an extension, but for the connection, which is the extension's own then.
const REGISTERED: &[u8] =
    b"HTTP/1.1 200 OK\r\nconnection: close\r\nLambda-Extension-Identifier: 1\r\n\
    content-type: application/json\r\ncontent-length: 69\r\n\r\n\
    {\"functionName\":\"bench\",\"functionVersion\":\"$LATEST\",\"handler\":\"boot\"}";

/// The starts of one function.
pub(crate) struct Start {
    pub(crate) function: &'static str,
    pub(crate) times: Sample,
}

pub(crate) const HELLO: &str = "hello";
const MEASURED: [&str; 5] = [HELLO, "admin", "auth", "system", "users"];

/// Starts every function in turn, again and again, so that what the machine does meanwhile
/// falls on all of them.
pub(crate) async fn measure(bootstraps: &Path, keys: &str) -> Result<Vec<Start>, BenchError> {
    let dynamodb = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", dynamodb.local_addr()?);
    let dynamodb = tokio::spawn(answer_with_nothing(dynamodb));
    let mut times = MEASURED.map(|_| Vec::with_capacity(RUNS));
    for run in 0..WARM_UPS + RUNS {
        for (function, times) in MEASURED.into_iter().zip(&mut times) {
            let bootstrap = bootstraps.join(function).join("bootstrap");
            let mut command = Command::new(&bootstrap);
            command.env_clear().envs(environment(function, keys));
            command.env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint);
            let time = until_first_request(command, bootstrap).await?;
            if run >= WARM_UPS {
                times.push(time);
            }
        }
    }
    dynamodb.abort();
    let measured = MEASURED.into_iter().zip(times);
    Ok(measured
        .map(|(function, times)| Start {
            function,
            times: Sample::new(times),
        })
        .collect())
}

/// A DynamoDB that finds no item and takes every write.
async fn answer_with_nothing(listener: TcpListener) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(answer_each(connection));
    }
}

async fn answer_each(connection: TcpStream) -> std::io::Result<()> {
    const NOTHING: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
    let mut connection = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await?;
        connection.get_mut().write_all(NOTHING).await?;
    }
}

/// A new document of signing keys, from the program that makes them for a deployment.
pub(crate) async fn signing_keys(local: &Path) -> Result<String, BenchError> {
    let output = Command::new(local).arg("signing-keys").output().await;
    let output = output.map_err(|error| BenchError::Program(local.to_owned(), error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let cause = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(BenchError::Failed(local.to_owned(), cause))
    }
}

/// What Lambda and the template set. The stage is `testing`, which takes the keys from a variable.
fn environment<'a>(function: &'a str, keys: &'a str) -> [(&'static str, &'a str); 29] {
    [
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("_HANDLER", "bootstrap"),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/turnpike/bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLEEXAMPLE00"),
        ("AWS_SECRET_ACCESS_KEY", "example"),
        ("AWS_SESSION_TOKEN", "example"),
        ("TURNPIKE_ENVIRONMENT", "testing"),
        ("TURNPIKE_ISSUER", "https://api.example.com"),
        ("TURNPIKE_CREDENTIALS_TABLE", "credentials"),
        ("TURNPIKE_IDENTITY_TABLE", "identity"),
        ("TURNPIKE_ADMISSION_TABLE", "admission"),
        ("TURNPIKE_USAGE_TABLE", "usage"),
        ("TURNPIKE_LOG", "info"),
        ("TURNPIKE_SIGNING_KEYS", keys),
        ("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TURNPIKE_CURSOR_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TURNPIKE_AUDIT_TABLE", "audit"),
        ("TURNPIKE_AUDIT_SECRET", "0123456789abcdef0123456789abcdef"),
    ]
}

/// Starts a function, waits until it asks for its first event, and ends it.
async fn until_first_request(
    mut command: Command,
    bootstrap: PathBuf,
) -> Result<Duration, BenchError> {
    let runtime_api = TcpListener::bind("127.0.0.1:0").await?;
    command
        .env(
            "AWS_LAMBDA_RUNTIME_API",
            runtime_api.local_addr()?.to_string(),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);

    let begun = Instant::now();
    let spawned = command.spawn();
    let mut child = spawned.map_err(|error| BenchError::Program(bootstrap.clone(), error))?;
    let patience = Duration::from_secs(PATIENCE_SECONDS);
    let asked = tokio::time::timeout(patience, first_event_is_asked_for(&runtime_api)).await;
    let elapsed = begun.elapsed();

    child.kill().await?;
    match asked {
        Ok(Ok(_connections)) => Ok(elapsed),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(BenchError::Late(
            PATIENCE_SECONDS,
            bootstrap.display().to_string(),
        )),
    }
}

/// Answers whoever registers as an extension, until the first event is asked for. Returns the
/// connections, still open.
async fn first_event_is_asked_for(runtime_api: &TcpListener) -> std::io::Result<Vec<TcpStream>> {
    let mut connections = vec![];
    loop {
        let (mut connection, _) = runtime_api.accept().await?;
        let mut received = Vec::with_capacity(1024);
        while !received.contains(&b'\n') && connection.read_buf(&mut received).await? > 0 {}
        if received.starts_with(REGISTRATION.as_bytes()) {
            connection.write_all(REGISTERED).await?;
        }
        connections.push(connection);
        if received.starts_with(FIRST_REQUEST.as_bytes()) {
            return Ok(connections);
        }
    }
}
