//! The load generator: connections that each send the next request once the last is answered.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::error::{BenchError, read};
use crate::statistics::Sample;

const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(10);
const PASSWORD: &str = "plum-violin-harbour-7";
/// A kernel tick in `/proc/<id>/stat`: a hundredth of a second to every program on Linux,
/// whatever the kernel's own is (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// What is asked for.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Each sign-in is the next of 64 users'
    SignIns,
    /// Each connection is one user's
    Me,
}

#[derive(Args)]
pub(crate) struct Load {
    #[arg(long)]
    pub(crate) kind: Kind,
    /// The server's origin
    #[arg(long)]
    pub(crate) base: String,
    #[arg(long)]
    pub(crate) connections: u32,
    /// The server's process, to see how busy it was
    #[arg(long)]
    pub(crate) server: u32,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
    /// How many cores the server and the generator kept busy.
    pub(crate) server_cores: f64,
    pub(crate) generator_cores: f64,
}

/// An account of the benchmark's own.
#[derive(Clone)]
struct Account {
    email: String,
    access_token: String,
}

impl Load {
    pub(crate) async fn run(self) -> Result<Outcome, BenchError> {
        let accounts = self.accounts().await?;
        let counted_from = Instant::now() + WARM_UP;
        let until = counted_from + DURATION;
        let mut connections = JoinSet::new();
        for number in 0..self.connections {
            // The accounts of this connection alone: nobody signs in twice at the same time.
            let own = accounts.iter().skip(number as usize);
            let own = own.step_by(self.connections as usize).cloned().collect();
            let connection = Connection {
                client: Client::builder().pool_max_idle_per_host(1).build()?,
                base: self.base.clone(),
                kind: self.kind,
                accounts: own,
            };
            connections.spawn(connection.run(counted_from, until));
        }
        tokio::time::sleep_until(counted_from.into()).await;
        let (server, own) = (self.server.to_string(), "self");
        let before = (cpu_seconds(&server)?, cpu_seconds(own)?);
        tokio::time::sleep_until(until.into()).await;
        let after = (cpu_seconds(&server)?, cpu_seconds(own)?);

        let mut times = vec![];
        while let Some(ended) = connections.join_next().await {
            let ended = ended.map_err(|lost| BenchError::Network(lost.into()))?;
            times.extend(ended?);
        }
        let seconds = DURATION.as_secs_f64();
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        let times = Sample::new(times);
        Ok(Outcome {
            per_second: f64::from(count) / seconds,
            p50_micros: micros(times.median()),
            p99_micros: micros(times.percentile(99)),
            server_cores: (after.0 - before.0) / seconds,
            generator_cores: (after.1 - before.1) / seconds,
        })
    }

    async fn accounts(&self) -> Result<Vec<Account>, BenchError> {
        let count = match self.kind {
            Kind::SignIns => 64,
            Kind::Me => self.connections,
        };
        let client = Client::new();
        let mut accounts = vec![];
        for number in 0..count {
            let email = format!("bench-{number}@example.com");
            let body = json!({"email": email, "password": PASSWORD});
            let url = format!("{}/api/v1/auth/register", self.base);
            let answer = send(client.post(url).json(&body), StatusCode::CREATED).await?;
            let token = answer["tokens"]["access_token"].as_str();
            accounts.push(Account {
                email,
                access_token: token.unwrap_or_default().to_owned(),
            });
        }
        Ok(accounts)
    }
}

struct Connection {
    client: Client,
    base: String,
    kind: Kind,
    accounts: Vec<Account>,
}

impl Connection {
    /// The time of each request that was sent from `counted_from` on and answered before `until`.
    async fn run(self, counted_from: Instant, until: Instant) -> Result<Vec<Duration>, BenchError> {
        let mut times = vec![];
        for account in self.accounts.iter().cycle() {
            let begun = Instant::now();
            send(self.request(account), StatusCode::OK).await?;
            let ended = Instant::now();
            if ended >= until {
                break;
            }
            if begun >= counted_from {
                times.push(ended - begun);
            }
        }
        Ok(times)
    }

    fn request(&self, account: &Account) -> RequestBuilder {
        let base = &self.base;
        match self.kind {
            Kind::SignIns => self
                .client
                .post(format!("{base}/api/v1/auth/login"))
                .json(&json!({"email": account.email, "password": PASSWORD})),
            Kind::Me => self
                .client
                .get(format!("{base}/api/v1/auth/me"))
                .bearer_auth(&account.access_token),
        }
    }
}

/// Sends a request and reads its answer to the end, which must have this status.
async fn send(request: RequestBuilder, expected: StatusCode) -> Result<Value, BenchError> {
    let answer = request.send().await?;
    let (status, url) = (answer.status(), answer.url().to_string());
    let body = answer.text().await?;
    if status != expected {
        return Err(BenchError::Answer(url, format!("{status}: {body}")));
    }
    serde_json::from_str(&body).map_err(|error| BenchError::Unreadable(url, error.to_string()))
}

/// The processor time that a process has taken: fields 14 and 15 of proc(5)'s `stat`.
fn cpu_seconds(process: &str) -> Result<f64, BenchError> {
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
