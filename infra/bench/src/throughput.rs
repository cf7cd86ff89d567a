//! How many requests the local stack answers, server and load generator each in its own process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::error::BenchError;
use crate::load::Outcome;

const PATIENCE_SECONDS: u64 = 10;

pub(crate) struct Throughput {
    pub(crate) sign_ins: Outcome,
    pub(crate) me: Outcome,
}

/// Which cores a process may use.
#[derive(Clone, Copy)]
enum Cores {
    All,
    Only(&'static str),
}

pub(crate) async fn measure(local: &Path) -> Result<Throughput, BenchError> {
    Ok(Throughput {
        sign_ins: load(local, "sign-ins", "4", Cores::All, Cores::All).await?,
        me: load(local, "me", "16", Cores::Only("0"), Cores::Only("1")).await?,
    })
}

/// Starts a stack of its own, sends it requests, and ends it.
async fn load(
    local: &Path,
    kind: &str,
    connections: &str,
    server: Cores,
    generator: Cores,
) -> Result<Outcome, BenchError> {
    let stack = LocalStack::start(local, server).await?;
    let own = std::env::current_exe()?;
    let output = command(&own, generator)
        .args(["load", "--kind", kind, "--connections", connections])
        .args(["--base", &format!("http://{}", stack.addr)])
        .args(["--server", &stack.id.to_string()])
        .output()
        .await;
    let output = output.map_err(|error| BenchError::Program(own.clone(), error))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let cause = String::from_utf8_lossy(&output.stderr).into_owned();
        BenchError::Failed(own, cause)
    })
}

/// A local stack in its release build, which writes a line for each request as a deployed
/// function does. It ends when it is dropped.
struct LocalStack {
    addr: SocketAddr,
    id: u32,
    _process: Child,
}

impl LocalStack {
    async fn start(local: &Path, cores: Cores) -> Result<Self, BenchError> {
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await?
            .local_addr()?;
        let process = command(local, cores)
            .args(["--addr", &addr.to_string()])
            .env("TURNPIKE_LOG", "info,dynoxide=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::Program(local.to_owned(), error))?;
        let id = process.id().unwrap_or_default();
        let patience = Duration::from_secs(PATIENCE_SECONDS);
        match tokio::time::timeout(patience, listening(addr)).await {
            Ok(()) => Ok(Self {
                addr,
                id,
                _process: process,
            }),
            Err(_) => Err(BenchError::Late(
                PATIENCE_SECONDS,
                local.display().to_string(),
            )),
        }
    }
}

async fn listening(addr: SocketAddr) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while TcpStream::connect(addr).await.is_err() {
        ticks.tick().await;
    }
}

/// A program on these cores. `taskset` becomes the program, so that the process keeps its id.
fn command(program: &Path, cores: Cores) -> Command {
    match cores {
        Cores::All => Command::new(program),
        Cores::Only(core) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", core]).arg(program);
            command
        }
    }
}
