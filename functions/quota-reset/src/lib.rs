//! The function `quota-reset`: closes the periods that have ended, drops limits of users' own that
//! have expired, and tells who has used much of a month.
//!
//! No request waits for it: a month rolls over and a limit expires by itself. It can be run twice,
//! late, on some shards, or be ended anywhere: every step has a condition that holds once.

mod report;
mod settle;
mod sweep;

use std::time::Duration;

use serde::Deserialize;
use turnpike_shared::admission::{Admission, AdmissionParts, Budgets, SetupError};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig, UserTables};
use turnpike_shared::ids::USER_SHARDS;
use turnpike_shared::runtime::{EventFunction, Invocation};
use turnpike_shared::stores::{PeriodStore, StoreError, UsageStore};

pub use report::{Report, ShardReport};

/// How long an engine may take here, where nobody waits for an answer.
const BUDGETS: Budgets = Budgets {
    valkey: Duration::from_millis(500),
    dynamodb: Duration::from_secs(2),
};

/// What is shared by all invocations.
pub struct App {
    admission: Admission,
    periods: PeriodStore,
    usage: UsageStore,
    clock: Clock,
}

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Admission(#[from] SetupError),
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let parts = AdmissionParts {
            budgets: BUDGETS,
            ..AdmissionParts::from_environment(&env)?
        };
        Self::new(&env, parts).await
    }

    /// Builds the function from `parts`, and the rest from the environment.
    pub async fn new(env: &Environment, parts: AdmissionParts) -> Result<Self, StartError> {
        let stage = StageConfig::read(env)?;
        let usage_table = config::usage_table(env)?;
        let AdmissionParts {
            dynamodb, clock, ..
        } = parts.clone();
        Ok(Self {
            admission: Admission::from_environment(env, &stage, parts).await?,
            periods: PeriodStore::new(&dynamodb, UserTables::read(env)?, usage_table.clone()),
            usage: UsageStore::new(&dynamodb, usage_table),
            clock,
        })
    }
}

/// What is to be done.
#[derive(Deserialize, Default)]
pub struct Event {
    /// The parts of all users to go through; all of them, if it is left out.
    #[serde(default)]
    pub shards: Option<Vec<u8>>,
}

/// Why it is to be done again.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error("there is no shard {0}: they are 0 to {last}", last = USER_SHARDS - 1)]
    NoSuchShard(u8),
    #[error("the users of shard {shard} could not be gone through")]
    Shard { shard: u8, source: StoreError },
    #[error("{failed} of {users} users could not be settled; the log says whom, and why")]
    Users { failed: u64, users: u64 },
}

impl EventFunction for App {
    type Event = Event;
    type Report = Report;
    type Failure = ResetError;

    async fn handle(&self, event: Event, invocation: Invocation) -> Result<Report, ResetError> {
        let shards = event.shards.unwrap_or((0..USER_SHARDS).collect());
        if let Some(unknown) = shards.iter().find(|shard| **shard >= USER_SHARDS) {
            return Err(ResetError::NoSuchShard(*unknown));
        }
        self.sweep(shards, invocation.deadline).await
    }
}
