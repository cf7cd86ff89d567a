//! The function `usage-rollup`: sums up what was recorded of requests.
//!
//! The stream of the usage table tells it which slices of time were written to; it sums these up anew.
//! What is recorded, and what is charged, is decided elsewhere.

mod event;
mod rollup;

use serde::Serialize;
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, ConfigError, Environment};
use turnpike_shared::runtime::{EventFunction, Invocation};
use turnpike_shared::stores::{DynamoDb, StoreError, UsageStore};

pub use event::StreamEvent;

/// The state of the function.
pub struct App {
    usage: UsageStore,
    clock: Clock,
}

impl App {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        Self::new(env, &DynamoDb::from_environment(env)?, Clock::system())
    }

    pub fn new(env: &Environment, dynamodb: &DynamoDb, clock: Clock) -> Result<Self, ConfigError> {
        let usage = UsageStore::new(dynamodb, config::usage_table(env)?);
        Ok(Self { usage, clock })
    }
}

/// What an event led to.
#[derive(Default, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Slices that were summed up.
    pub slices: u64,
    /// Slices of which part may have expired; their sums stay as they are.
    pub too_old: u64,
    /// Records that were read.
    pub records: u64,
    /// Sums of users' slices.
    pub users: u64,
}

/// Why an event is to be handed over again, whole: what was done of it does no harm.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    #[error("the stream tells of a batch that cannot be read")]
    Event(#[source] StoreError),
    #[error("a slice was not summed up")]
    Slice(#[source] StoreError),
}

impl EventFunction for App {
    type Event = StreamEvent;
    type Report = Report;
    type Failure = RollupError;

    /// Sums up every slice of the event; one that fails keeps none of the others back.
    async fn handle(&self, event: StreamEvent, _: Invocation) -> Result<Report, RollupError> {
        let now = self.clock.now();
        let mut report = Report::default();
        let mut failure = None;
        for (slice, dirty) in event.dirty().map_err(RollupError::Event)? {
            if !slice.is_whole_at(now) {
                report.too_old += 1;
                continue;
            }
            match rollup::sum_up(&self.usage, slice, &dirty).await {
                Ok(done) => {
                    report.slices += 1;
                    report.records += done.records;
                    report.users += done.users as u64;
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) => Err(RollupError::Slice(error)),
            None => Ok(report),
        }
    }
}
