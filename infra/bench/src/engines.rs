//! How long each engine of limits takes to decide, next to the least that a server can be asked.

use std::path::Path;

use serde::Deserialize;

use crate::error::BenchError;
use crate::server::{Cores, Server, findings};

/// A way of deciding, as the program `engines` found it.
#[derive(Deserialize)]
pub(crate) struct Decisions {
    pub(crate) way: String,
    pub(crate) concurrency: u32,
    pub(crate) per_second: f64,
    pub(crate) p50_nanos: u64,
    pub(crate) p99_nanos: u64,
}

pub(crate) async fn measure(engines: &Path, redis: &Path) -> Result<Vec<Decisions>, BenchError> {
    let server = Server::redis(redis, Cores::OTHERS).await?;
    findings(engines, &[&server.redis_url()], Cores::MEASURED).await
}
