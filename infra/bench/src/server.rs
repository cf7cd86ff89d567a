//! Servers, each in a process of its own that ends with its value: the local stack, the plain
//! route and Redis; and which cores a process may use.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::error::{BenchError, read};

const PATIENCE_SECONDS: u64 = 10;
/// What the servers log: a line for each request, as a deployed function does.
const LOG: (&str, &str) = ("TURNPIKE_LOG", "info,dynoxide=error");

/// Which cores a process may use.
#[derive(Clone, Copy)]
pub(crate) enum Cores {
    All,
    Only(&'static str),
}

impl Cores {
    /// What is measured.
    pub(crate) const MEASURED: Self = Self::Only("0");
    /// What it is measured with.
    pub(crate) const OTHERS: Self = Self::Only("1");
}

/// A server that answers. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) id: u32,
    _process: Child,
}

impl Server {
    /// The local stack in its release build, with its data in memory.
    pub(crate) async fn local_stack(
        program: &Path,
        arguments: &[&str],
        cores: Cores,
    ) -> Result<Self, BenchError> {
        Self::local_stack_at(free_addr().await?, program, arguments, cores).await
    }

    /// The same at an address that its arguments tell of.
    pub(crate) async fn local_stack_at(
        addr: SocketAddr,
        program: &Path,
        arguments: &[&str],
        cores: Cores,
    ) -> Result<Self, BenchError> {
        let mut command = command(program, cores);
        command.args(["--addr", &addr.to_string()]).args(arguments);
        Self::start(program, command, addr).await
    }

    /// The route without admission.
    pub(crate) async fn plain(program: &Path, cores: Cores) -> Result<Self, BenchError> {
        let addr = free_addr().await?;
        let mut command = command(program, cores);
        command.arg(addr.to_string());
        Self::start(program, command, addr).await
    }

    /// An embedded engine for the usage table.
    pub(crate) async fn usage_table(program: &Path, cores: Cores) -> Result<Self, BenchError> {
        let addr = free_addr().await?;
        let mut command = command(program, cores);
        command.args(["serve", &addr.to_string()]);
        Self::start(program, command, addr).await
    }

    /// A Redis or Valkey that saves nothing.
    pub(crate) async fn redis(program: &Path, cores: Cores) -> Result<Self, BenchError> {
        let addr = free_addr().await?;
        let mut command = command(program, cores);
        command
            .args(["--port", &addr.port().to_string()])
            .args(["--bind", "127.0.0.1"])
            .args(["--save", ""])
            .args(["--appendonly", "no"]);
        Self::start(program, command, addr).await
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address as a client of Redis has it.
    pub(crate) fn redis_url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    async fn start(
        program: &Path,
        mut command: Command,
        addr: SocketAddr,
    ) -> Result<Self, BenchError> {
        let process = command
            .env(LOG.0, LOG.1)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::Program(program.to_owned(), error))?;
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
                program.display().to_string(),
            )),
        }
    }
}

pub(crate) async fn free_addr() -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?)
}

async fn listening(addr: SocketAddr) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while TcpStream::connect(addr).await.is_err() {
        ticks.tick().await;
    }
}

/// A program on these cores. `taskset` becomes the program, so that the process keeps its id.
pub(crate) fn command(program: &Path, cores: Cores) -> Command {
    match cores {
        Cores::All => Command::new(program),
        Cores::Only(core) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", core]).arg(program);
            command
        }
    }
}

/// Runs a program that prints its findings as JSON.
pub(crate) async fn findings<T: serde::de::DeserializeOwned>(
    program: &Path,
    arguments: &[&str],
    cores: Cores,
) -> Result<T, BenchError> {
    let output = command(program, cores).args(arguments).output().await;
    let output = output.map_err(|error| BenchError::Program(program.to_owned(), error))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let cause = String::from_utf8_lossy(&output.stderr).into_owned();
        BenchError::Failed(program.to_owned(), cause)
    })
}

/// A kernel tick in `/proc/<id>/stat`: a hundredth of a second to every program on Linux,
/// whatever the kernel's own is (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// The processor time that a process has taken: fields 14 and 15 of proc(5)'s `stat`.
pub(crate) fn cpu_seconds(process: &str) -> Result<f64, BenchError> {
    let file = format!("/proc/{process}/stat");
    let stat = read(&file)?;
    // The second field is the program's name in brackets, and may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Option<Vec<u32>> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().ok())
        .collect();
    match ticks.as_deref() {
        Some([user, system]) => Ok((f64::from(*user) + f64::from(*system)) / TICKS_PER_SECOND),
        _ => Err(BenchError::Unreadable(file, stat)),
    }
}

/// The memory that a process has resident, in kibibytes (proc(5), `VmRSS`).
pub(crate) fn resident_kibibytes(process: u32) -> Result<u32, BenchError> {
    let file = format!("/proc/{process}/status");
    let status = read(&file)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or(BenchError::Unreadable(file, status))
}
