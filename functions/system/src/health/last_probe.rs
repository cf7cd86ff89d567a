//! The last answer to whether a service is there, asked for anew when it is too old.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use turnpike_shared::clock::{Clock, Timestamp};

/// How long an outcome is good for, a failure too, so that however many ask, an instance asks a
/// service no oftener than this.
pub(super) const FRESH_SECONDS: u32 = 5;

/// Something that this service stands on, and that can be asked whether it is there.
pub(crate) trait Service {
    /// What it says, or why it says nothing.
    type Answer: Clone;

    /// Asks once, within bounds of its own, and logs why that failed if it did.
    async fn ask(&self) -> Self::Answer;

    fn is_up(answer: &Self::Answer) -> bool;
}

/// Asks a service and remembers what came of it.
pub(crate) struct LastProbe<S: Service> {
    service: S,
    clock: Clock,
    /// Held while the probe is under way: who comes meanwhile waits for its outcome.
    last: Mutex<Option<Outcome<S::Answer>>>,
}

/// What came of a probe.
#[derive(Clone)]
pub(crate) struct Outcome<A> {
    pub(super) at: Timestamp,
    pub(super) latency: Duration,
    pub(super) is_up: bool,
    pub(super) answer: A,
    /// How many there were since the start, this one included, and how many of them failed.
    pub(super) probes: u64,
    pub(super) failed_probes: u64,
}

impl<S: Service> LastProbe<S> {
    pub(crate) fn new(service: S, clock: Clock) -> Self {
        Self {
            service,
            clock,
            last: Mutex::new(None),
        }
    }

    /// How the service was, at most [`FRESH_SECONDS`] ago.
    pub(crate) async fn outcome(&self) -> Outcome<S::Answer> {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some(outcome) = &*last
            && outcome.is_fresh(now)
        {
            return outcome.clone();
        }
        let outcome = self.ask(now, last.as_ref()).await;
        *last = Some(outcome.clone());
        outcome
    }

    async fn ask(&self, now: Timestamp, before: Option<&Outcome<S::Answer>>) -> Outcome<S::Answer> {
        let started = Instant::now();
        let answer = self.service.ask().await;
        let latency = started.elapsed();
        let is_up = S::is_up(&answer);
        let (probes, failed) = before.map_or((0, 0), |last| (last.probes, last.failed_probes));
        Outcome {
            at: now,
            latency,
            is_up,
            answer,
            probes: probes + 1,
            failed_probes: failed + u64::from(!is_up),
        }
    }
}

impl<A> Outcome<A> {
    /// One from the future is not fresh: the clock was set back, and would keep it for as long.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now >= self.at && now.since(self.at) < Duration::from_secs(FRESH_SECONDS.into())
    }
}
