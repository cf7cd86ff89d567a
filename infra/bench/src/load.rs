//! The load generator: connections that each send the next request once the last is answered.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::server::cpu_seconds;
use crate::statistics::Sample;
use crate::wire::{Wire, get, post};

const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(10);
const PASSWORD: &str = "plum-violin-harbour-7";
const ME: &str = "/api/v1/auth/me";
const QUERY: &str = "/api/v1/query";

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Each sign-in is the next of 64 users'
    SignIns,
    /// `GET /api/v1/auth/me` with an access token; each connection is one user's
    Me,
    /// The same with an API key
    MeByKey,
    /// `POST /api/v1/query` with an access token, always the same: all but the first are hits
    Query,
    /// The path of `me` without a credential, of a server that wants none
    Plain,
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

impl Outcome {
    /// The processor time that the server's process took for one request.
    pub(crate) fn cpu_micros_per_request(&self) -> f64 {
        self.server_cores * 1_000_000.0 / self.per_second
    }

    /// How many requests the server's process answers in a second of its own processor time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.per_second / self.server_cores
    }
}

/// An account of the benchmark's own.
#[derive(Clone)]
pub(crate) struct Account {
    email: String,
    access_token: String,
}

impl Account {
    /// A request for `GET /api/v1/auth/me` in its user's name.
    pub(crate) fn me(&self) -> Vec<u8> {
        get(
            ME,
            &format!("authorization: Bearer {}\r\n", self.access_token),
        )
    }
}

impl Account {
    /// A query in its user's name.
    fn query(&self) -> Vec<u8> {
        let header = format!("authorization: Bearer {}", self.access_token);
        post(QUERY, &header, r#"{"upstream":"library","query":"whale"}"#)
    }

    /// The request for `me` with a new API key of its user's.
    async fn me_by_key(&self, base: &str) -> Result<Vec<u8>, BenchError> {
        let request = Client::new()
            .post(format!("{base}/api/v1/users/api-keys"))
            .bearer_auth(&self.access_token)
            .json(&json!({"name": "bench"}));
        let answer = send(request, StatusCode::CREATED).await?;
        let key = answer["key"].as_str().unwrap_or_default();
        Ok(get(ME, &format!("x-api-key: {key}\r\n")))
    }
}

impl Load {
    pub(crate) async fn run(self) -> Result<Outcome, BenchError> {
        let accounts = match self.kind {
            Kind::SignIns => register(&self.base, 64).await?,
            Kind::Me | Kind::MeByKey | Kind::Query => {
                register(&self.base, self.connections).await?
            }
            Kind::Plain => vec![],
        };
        let counted_from = Instant::now() + WARM_UP;
        let counted = Counted {
            from: counted_from,
            until: counted_from + DURATION,
        };
        let mut connections = JoinSet::new();
        for number in 0..self.connections {
            // The accounts of this connection alone: nobody signs in twice at the same time.
            let own = accounts.iter().skip(number as usize);
            let mut own = own.step_by(self.connections as usize).cloned();
            let base = self.base.clone();
            match self.kind {
                Kind::SignIns => {
                    connections.spawn(sign_in(base, own.collect(), counted));
                }
                Kind::Me | Kind::MeByKey | Kind::Query | Kind::Plain => {
                    let request = match (self.kind, own.next()) {
                        (_, None) => get(ME, ""),
                        (Kind::MeByKey, Some(own)) => own.me_by_key(&base).await?,
                        (Kind::Query, Some(own)) => own.query(),
                        (_, Some(own)) => own.me(),
                    };
                    connections.spawn(ask(base, request, counted));
                }
            }
        }
        tokio::time::sleep_until(counted.from.into()).await;
        let (server, own) = (self.server.to_string(), "self");
        let before = (cpu_seconds(&server)?, cpu_seconds(own)?);
        tokio::time::sleep_until(counted.until.into()).await;
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
}

/// Makes that many accounts.
pub(crate) async fn register(base: &str, count: u32) -> Result<Vec<Account>, BenchError> {
    let client = Client::new();
    let mut accounts = vec![];
    for number in 0..count {
        let email = format!("bench-{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD});
        let url = format!("{base}/api/v1/auth/register");
        let answer = send(client.post(url).json(&body), StatusCode::CREATED).await?;
        let token = answer["tokens"]["access_token"].as_str();
        accounts.push(Account {
            email,
            access_token: token.unwrap_or_default().to_owned(),
        });
    }
    Ok(accounts)
}

/// Which requests count: those sent from the one moment on and answered before the other.
#[derive(Clone, Copy)]
struct Counted {
    from: Instant,
    until: Instant,
}

impl Counted {
    /// Takes down the time of a request; `false` once it is over.
    fn take(self, begun: Instant, times: &mut Vec<Duration>) -> bool {
        let ended = Instant::now();
        let is_over = ended >= self.until;
        if !is_over && begun >= self.from {
            times.push(ended - begun);
        }
        !is_over
    }
}

/// Signs in to one account after another.
async fn sign_in(
    base: String,
    accounts: Vec<Account>,
    counted: Counted,
) -> Result<Vec<Duration>, BenchError> {
    let client = Client::builder().pool_max_idle_per_host(1).build()?;
    let url = format!("{base}/api/v1/auth/login");
    let mut times = vec![];
    for account in accounts.iter().cycle() {
        let begun = Instant::now();
        let body = json!({"email": account.email, "password": PASSWORD});
        send(client.post(&url).json(&body), StatusCode::OK).await?;
        if !counted.take(begun, &mut times) {
            break;
        }
    }
    Ok(times)
}

/// Sends one request again and again.
async fn ask(
    base: String,
    request: Vec<u8>,
    counted: Counted,
) -> Result<Vec<Duration>, BenchError> {
    let mut wire = Wire::connect(&base).await?;
    let mut times = vec![];
    loop {
        let begun = Instant::now();
        wire.ask(&request).await?;
        if !counted.take(begun, &mut times) {
            return Ok(times);
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
