//! What a cached query costs: in each tier next to the upstream, over a trace, and over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Deserialize;

use crate::error::{BenchError, read};
use crate::load::Outcome;
use crate::server::{Cores, Server, findings, free_addr};
use crate::statistics::Sample;
use crate::throughput::load;

const CONNECTIONS: u32 = 16;
/// How often the upstream is asked: it takes most of a second.
const UPSTREAM_CALLS: usize = 20;
/// The sample upstream of the local stack.
const LIBRARY: &str = "/_local/sample/library";

/// The programs that are measured.
#[derive(Args)]
pub(crate) struct QueryPrograms {
    /// The program turnpike-local, in its release build
    #[arg(long, value_name = "FILE")]
    local: PathBuf,
    /// The program caching
    #[arg(long, value_name = "FILE")]
    caching: PathBuf,
    /// Redis or Valkey
    #[arg(long, value_name = "FILE")]
    redis: PathBuf,
    /// The policy that refuses nothing
    #[arg(long, value_name = "FILE", default_value = "infra/bench/generous.toml")]
    policy: PathBuf,
}

pub(crate) struct Queries {
    pub(crate) cached: Cached,
    pub(crate) upstream: Sample,
    /// Where the limits and the generations are, and what came of it.
    pub(crate) routes: Vec<(&'static str, Outcome)>,
}

/// What the program `caching` found.
#[derive(Deserialize)]
pub(crate) struct Cached {
    pub(crate) tiers: Vec<Hit>,
    pub(crate) trace: Trace,
}

/// A hit in one tier.
#[derive(Deserialize)]
pub(crate) struct Hit {
    pub(crate) tier: String,
    pub(crate) has_valkey: bool,
    pub(crate) p50_nanos: u64,
    pub(crate) p99_nanos: u64,
}

#[derive(Deserialize)]
pub(crate) struct Trace {
    pub(crate) queries: u32,
    pub(crate) distinct: u32,
    pub(crate) instances: u32,
    pub(crate) at_a_time: u32,
    pub(crate) misses: u32,
    pub(crate) calls: u32,
    pub(crate) most_calls_of_a_query: u32,
    pub(crate) seconds: f64,
}

impl QueryPrograms {
    pub(crate) async fn measure(&self) -> Result<Queries, BenchError> {
        let redis = self.redis().await?;
        let cached = findings(&self.caching, &[&redis.redis_url()], Cores::MEASURED).await?;
        drop(redis);
        let mut routes = vec![];
        for (label, is_on_valkey) in [("on Valkey", true), ("on the embedded DynamoDB", false)] {
            let redis = if is_on_valkey {
                Some(self.redis().await?)
            } else {
                None
            };
            let stack = self.stack(redis.as_ref()).await?;
            let outcome = load(&stack, "query", CONNECTIONS, Cores::OTHERS).await?;
            routes.push((label, outcome));
        }
        Ok(Queries {
            cached,
            upstream: upstream(&self.stack(None).await?).await?,
            routes,
        })
    }

    async fn redis(&self) -> Result<Server, BenchError> {
        Server::redis(&self.redis, Cores::OTHERS).await
    }

    /// The local stack, with its own library as an upstream that nobody is refused.
    async fn stack(&self, valkey: Option<&Server>) -> Result<Server, BenchError> {
        let addr = free_addr().await?;
        let policy = read(&self.policy)? + &library_at(addr);
        let file = std::env::temp_dir().join(format!("turnpike-bench-{}.toml", addr.port()));
        std::fs::write(&file, policy).map_err(|error| BenchError::File(file.clone(), error))?;
        let stack = self.stack_with(addr, &file, valkey).await;
        // It has been read, and goes on when it cannot be read anew.
        std::fs::remove_file(&file).map_err(|error| BenchError::File(file, error))?;
        stack
    }

    async fn stack_with(
        &self,
        addr: SocketAddr,
        policy: &Path,
        valkey: Option<&Server>,
    ) -> Result<Server, BenchError> {
        let (policy, url) = (policy.display().to_string(), valkey.map(Server::redis_url));
        let mut arguments = vec!["--policy", policy.as_str()];
        if let Some(url) = &url {
            arguments.extend(["--valkey", url]);
        }
        Server::local_stack_at(addr, &self.local, &arguments, Cores::MEASURED).await
    }
}

fn library_at(addr: SocketAddr) -> String {
    format!(
        "\n[classes.query]\nlimits = [{{ name = \"query\", rate = \"1000000000/minute\" }}]\n\n\
         [upstreams.library]\nbase_url = \"http://{addr}{LIBRARY}\"\nshared_cache = true\n"
    )
}

/// How long the upstream itself takes.
async fn upstream(stack: &Server) -> Result<Sample, BenchError> {
    let client = reqwest::Client::new();
    let url = format!("{}{LIBRARY}?q=whale", stack.origin());
    let mut times = vec![];
    for _ in 0..UPSTREAM_CALLS {
        let begun = Instant::now();
        let answer = client.get(&url).send().await?.error_for_status()?;
        answer.bytes().await?;
        times.push(begun.elapsed());
    }
    Ok(Sample::new(times))
}
