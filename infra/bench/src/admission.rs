//! What admission costs a request: the same route with it and without, on one core.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::engines::{self, Decisions};
use crate::error::BenchError;
use crate::load::Outcome;
use crate::memory::{self, Memory};
use crate::server::{Cores, Server};
use crate::throughput::load;
use crate::writes::{self, Writes};

const CONNECTIONS: u32 = 16;
/// What a request is sent with and where its limits are, the load's name for it, and whether they
/// are on Valkey.
const ROUTES: [(&str, &str, bool); 4] = [
    ("with a token, limits on Valkey", "me", true),
    ("with a key, limits on Valkey", "me-by-key", true),
    ("with a token, limits on the embedded DynamoDB", "me", false),
    (
        "with a key, limits on the embedded DynamoDB",
        "me-by-key",
        false,
    ),
];

/// The programs that are measured.
#[derive(Args)]
pub(crate) struct Programs {
    /// The program turnpike-local, in its release build
    #[arg(long, value_name = "FILE")]
    pub(crate) local: PathBuf,
    /// The program engines
    #[arg(long, value_name = "FILE")]
    engines: PathBuf,
    /// The program plain
    #[arg(long, value_name = "FILE")]
    plain: PathBuf,
    /// Redis or Valkey
    #[arg(long, value_name = "FILE")]
    redis: PathBuf,
    /// The policy that refuses nothing
    #[arg(long, value_name = "FILE", default_value = "infra/bench/generous.toml")]
    policy: PathBuf,
}

pub(crate) struct Admission {
    pub(crate) engines: Vec<Decisions>,
    /// What was asked for, and what came of it.
    pub(crate) routes: Vec<(&'static str, Outcome)>,
    pub(crate) writes: Vec<Writes>,
    pub(crate) memory: Memory,
}

impl Programs {
    pub(crate) async fn measure(&self) -> Result<Admission, BenchError> {
        Ok(Admission {
            engines: engines::measure(&self.engines, &self.redis).await?,
            routes: self.routes().await?,
            writes: writes::measure(self, &self.engines).await?,
            memory: memory::measure(self).await?,
        })
    }

    async fn routes(&self) -> Result<Vec<(&'static str, Outcome)>, BenchError> {
        let plain = Server::plain(&self.plain, Cores::MEASURED).await?;
        let without = load(&plain, "plain", CONNECTIONS, Cores::OTHERS).await?;
        drop(plain);
        let mut routes = vec![("without admission", without)];
        for (label, kind, is_on_valkey) in ROUTES {
            let redis = if is_on_valkey {
                Some(self.redis().await?)
            } else {
                None
            };
            let stack = self.stack(redis.as_ref()).await?;
            routes.push((label, load(&stack, kind, CONNECTIONS, Cores::OTHERS).await?));
        }
        Ok(routes)
    }

    pub(crate) async fn redis(&self) -> Result<Server, BenchError> {
        Server::redis(&self.redis, Cores::OTHERS).await
    }

    /// The local stack on the core that is measured, with the limits in `valkey` if that is given.
    pub(crate) async fn stack(&self, valkey: Option<&Server>) -> Result<Server, BenchError> {
        self.stack_on(valkey, None).await
    }

    /// The same on another engine than its own, if one is given.
    pub(crate) async fn stack_on(
        &self,
        valkey: Option<&Server>,
        dynamodb: Option<&str>,
    ) -> Result<Server, BenchError> {
        let policy = path(&self.policy);
        let url = valkey.map(Server::redis_url);
        let mut arguments = vec!["--policy", policy.as_str()];
        if let Some(url) = &url {
            arguments.extend(["--valkey", url]);
        }
        if let Some(url) = dynamodb {
            arguments.extend(["--dynamodb", url]);
        }
        Server::local_stack(&self.local, &arguments, Cores::MEASURED).await
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
