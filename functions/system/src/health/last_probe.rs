//! The last answer to whether DynamoDB is there, asked for anew when it is too old.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::errors::chain;
use turnpike_shared::stores::{Probe, StoreError};
use utoipa::ToSchema;

/// How long an outcome is good for, a failure too, so that however many ask, an instance asks
/// DynamoDB no oftener than this.
pub(super) const FRESH_SECONDS: u32 = 5;

/// Asks DynamoDB and remembers what came of it.
pub(crate) struct LastProbe {
    probe: Probe,
    clock: Clock,
    /// Held while the probe is under way: who comes meanwhile waits for its outcome.
    last: Mutex<Option<Outcome>>,
}

/// What came of a probe.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(super) at: Timestamp,
    pub(super) latency: Duration,
    pub(super) error: Option<ErrorKind>,
    /// How many there were since the start, this one included, and how many of them failed.
    pub(super) probes: u64,
    pub(super) failed_probes: u64,
}

/// Why DynamoDB did not answer as it should.
#[derive(Clone, Copy, Serialize, ToSchema, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorKind {
    /// It is away, overloaded or too slow.
    Unavailable,
    /// It refused: the table or the permission to read it is missing.
    Refused,
    /// Too many changes at once.
    Contended,
    /// Its answer could not be read.
    Damaged,
}

impl LastProbe {
    pub(crate) fn new(probe: Probe, clock: Clock) -> Self {
        Self {
            probe,
            clock,
            last: Mutex::new(None),
        }
    }

    /// How DynamoDB was, at most [`FRESH_SECONDS`] ago.
    pub(crate) async fn outcome(&self) -> Outcome {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some(outcome) = *last
            && outcome.is_fresh(now)
        {
            return outcome;
        }
        let outcome = self.ask(now, *last).await;
        *last = Some(outcome);
        outcome
    }

    async fn ask(&self, now: Timestamp, before: Option<Outcome>) -> Outcome {
        let started = Instant::now();
        let answer = self.probe.ask().await;
        let latency = started.elapsed();
        if let Err(error) = &answer {
            tracing::warn!(
                cause = chain(error),
                "DynamoDB does not answer the health probe"
            );
        }
        let error = answer.err().map(|error| ErrorKind::from(&error));
        let (probes, failed) = before.map_or((0, 0), |last| (last.probes, last.failed_probes));
        Outcome {
            at: now,
            latency,
            error,
            probes: probes + 1,
            failed_probes: failed + u64::from(error.is_some()),
        }
    }
}

impl Outcome {
    /// One from the future is not fresh: the clock was set back, and would keep it for as long.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now >= self.at && now.since(self.at) < Duration::from_secs(FRESH_SECONDS.into())
    }
}

impl From<&StoreError> for ErrorKind {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::Unavailable,
            StoreError::Refused { .. } => Self::Refused,
            StoreError::Contended { .. } => Self::Contended,
            StoreError::Damaged(_) => Self::Damaged,
        }
    }
}
