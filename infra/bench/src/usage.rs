//! How fast a slice of usage is summed up, and in what memory: at a size, and at ten times that.

use std::path::Path;

use serde::Deserialize;

use crate::error::BenchError;
use crate::server::{Cores, Server, findings};

/// Batches of 25 records, and users: ten times the records, then ten times the users too.
const SIZES: [(u32, u32); 3] = [(1_000, 500), (10_000, 500), (10_000, 5_000)];

/// What came of one slice.
#[derive(Deserialize)]
pub(crate) struct SummedUp {
    pub(crate) records: u32,
    pub(crate) users: u32,
    pub(crate) seconds: f64,
    pub(crate) kibibytes_before: u32,
    pub(crate) kibibytes_at_most: u32,
}

#[derive(Deserialize)]
struct Filled {
    slice: String,
}

pub(crate) async fn measure(rollup: &Path) -> Result<Vec<SummedUp>, BenchError> {
    let mut figures = vec![];
    for (batches, users) in SIZES {
        let engine = Server::usage_table(rollup, Cores::OTHERS).await?;
        let (url, batches, users) = (engine.origin(), batches.to_string(), users.to_string());
        let fill = ["fill", &url, &batches, &users];
        let filled: Filled = findings(rollup, &fill, Cores::MEASURED).await?;
        let sum_up = ["sum-up", &url, &filled.slice];
        figures.push(findings(rollup, &sum_up, Cores::MEASURED).await?);
    }
    Ok(figures)
}
