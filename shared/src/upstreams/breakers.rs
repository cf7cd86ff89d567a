//! The circuit breakers of all upstreams, shared with the other instances through the admission
//! table.
//!
//! What an instance knows of a breaker is a second old at most, and costs a call that succeeds
//! nothing but that look. Only what changes a breaker is written, under the condition that nobody
//! changed it meanwhile; whoever's write it was tells of the change. While the table is away, each
//! process goes by what it sees itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::breaker::{Asked, Breaker, Health, Phase, TrialId};
use crate::admission::AdmissionParts;
use crate::audit::Action;
use crate::auth::ChangedBy;
use crate::clock::{Clock, Timestamp};
use crate::config::{ConfigError, Environment, UserTables};
use crate::errors::chain;
use crate::limits::policy::UpstreamPolicy;
use crate::stores::{BreakerStore, Changed, StoreError, StoredBreaker};
use crate::telemetry::CIRCUIT_TARGET;

/// How old what an instance knows of a breaker may be. It is also how long another instance may go
/// on calling, or not calling, after a change.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// How long the table is left alone after it did not answer.
const ALONE_FOR: Duration = Duration::from_secs(5);
/// What a trial has beyond one try, for whatever comes before and after it.
const TRIAL_MARGIN: Duration = Duration::from_secs(5);
/// How often a change is made anew of what others made of the breaker meanwhile. Each time that one
/// loses, another has won: who gives up counting has seen as many failures counted.
const TRIES: u32 = 8;
/// What the pause is at most before a failure is counted anew; it doubles every time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// How long an item is kept beyond all times in it.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// What the instances of one process know of breakers: one for all functions of a process, so that
/// who changes one in a function is believed by the others. Cheap to clone.
#[derive(Clone, Default)]
pub struct BreakerMemory(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>>);

impl BreakerMemory {
    fn of(&self, upstream: &str) -> Arc<tokio::sync::Mutex<Known>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(upstream.to_owned()).or_default())
    }

    /// Makes everybody look at the table again before they believe what they know.
    async fn forget(&self, upstream: &str) {
        let known = self.of(upstream);
        *known.lock().await = Known::default();
    }
}

/// What is known of a breaker.
#[derive(Default)]
struct Known {
    stored: StoredBreaker,
    /// When it was looked at; `None` while it has not been.
    seen_at: Option<Timestamp>,
    /// When the table did not answer, if that was the last that was heard of it.
    away_at: Option<Timestamp>,
}

/// The leave to call an upstream once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Permit {
    Call,
    /// To find out whether the upstream is back.
    Trial(TrialId),
}

/// The breakers, as an instance sees them. Cheap to clone.
#[derive(Clone)]
pub struct Breakers {
    store: BreakerStore,
    memory: BreakerMemory,
    clock: Clock,
}

impl Breakers {
    pub fn from_environment(
        env: &Environment,
        parts: &AdmissionParts,
    ) -> Result<Self, ConfigError> {
        // A call waits for them.
        let dynamodb = parts.dynamodb.within(parts.budgets.dynamodb);
        Ok(Self {
            store: BreakerStore::new(&dynamodb, UserTables::read(env)?),
            memory: parts.breakers.clone(),
            clock: parts.clock.clone(),
        })
    }

    /// The breakers of these upstreams as the table has them, in their order; at most 100.
    pub async fn all_of(&self, upstreams: &[&str]) -> Result<Vec<Breaker>, StoreError> {
        let stored = self.store.read_all(upstreams).await?;
        Ok(stored.into_iter().map(|stored| stored.breaker).collect())
    }

    /// Closes a breaker and forgets the failures, for all instances. It takes hold here at once and
    /// elsewhere within a second.
    pub async fn reset(
        &self,
        upstream: &str,
        policy: &UpstreamPolicy,
        by: ChangedBy,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let kept_until = now.plus(policy.breaker.within).plus(KEPT_FOR);
        let entry = |was: Phase| {
            let entry = by.entry(now, Action::BreakerReset, upstream);
            entry.with("was", was.name())
        };
        let was = self.store.reset(upstream, entry, kept_until).await?;
        self.memory.forget(upstream).await;
        if let Some(was) = was {
            tell(upstream, was, Phase::Closed, Reach::Everybody);
        }
        Ok(())
    }

    /// Leave to call, or how long the upstream is being left alone.
    pub(super) async fn permit(
        &self,
        upstream: &str,
        policy: &UpstreamPolicy,
    ) -> Result<Permit, Duration> {
        let known = self.memory.of(upstream);
        // Within a process one at a time asks the table, and tries.
        let mut known = known.lock().await;
        self.look(upstream, &mut known).await;
        let trial = TrialId(fastrand::u64(..));
        let patience = policy.timeout.saturating_add(TRIAL_MARGIN);
        for _ in 0..TRIES {
            let now = self.clock.now();
            match known.stored.breaker.ask(now, trial, patience) {
                Asked::Call => return Ok(Permit::Call),
                Asked::Refused { retry_after } => return Err(retry_after),
                Asked::Try(next) => {
                    if self.change(upstream, policy, &mut known, next).await {
                        return Ok(Permit::Trial(trial));
                    }
                }
            }
        }
        // Others change it faster than it can be looked at; one of them tries.
        Err(KNOWN_FOR)
    }

    /// Takes in what a call with this permit said of the upstream.
    pub(super) async fn report(
        &self,
        upstream: &str,
        policy: &UpstreamPolicy,
        permit: Permit,
        health: Health,
    ) {
        if permit == Permit::Call && health != Health::Bad {
            return;
        }
        let known = self.memory.of(upstream);
        let mut known = known.lock().await;
        for tries in 0..TRIES {
            if tries > 0 {
                // They meet again if they all come back at once.
                let bound = FIRST_PAUSE.saturating_mul(1 << tries);
                sleep(bound.mul_f64(fastrand::f64())).await;
            }
            let now = self.clock.now();
            let breaker = &known.stored.breaker;
            let next = match permit {
                Permit::Call => breaker.failed(&policy.breaker, now),
                Permit::Trial(trial) => breaker.tried(trial, health, &policy.breaker, now),
            };
            let Some(next) = next else {
                return;
            };
            if self.change(upstream, policy, &mut known, next).await {
                return;
            }
        }
        tracing::warn!(upstream, "a failure of the upstream could not be counted");
    }

    /// Looks at the table, unless what is known is new enough.
    async fn look(&self, upstream: &str, known: &mut Known) {
        let now = self.clock.now();
        let is_within = |at: Option<Timestamp>, time| at.is_some_and(|at| apart(now, at) < time);
        if is_within(known.seen_at, KNOWN_FOR) || is_within(known.away_at, ALONE_FOR) {
            return;
        }
        match self.store.read(upstream).await {
            Ok(stored) => self.seen(known, stored),
            Err(error) => self.away(known, &error),
        }
    }

    /// Changes a breaker, and says whether it was changed; if not, it is known what others made of
    /// it.
    async fn change(
        &self,
        upstream: &str,
        policy: &UpstreamPolicy,
        known: &mut Known,
        next: Breaker,
    ) -> bool {
        let was = known.stored.breaker.phase();
        let now = self.clock.now();
        let is_away = known.away_at.is_some_and(|at| apart(now, at) < ALONE_FOR);
        if !is_away {
            let kept_until = next.next_trial_at().unwrap_or(now).max(now);
            let kept_until = kept_until.plus(policy.breaker.within).plus(KEPT_FOR);
            let changed = self
                .store
                .change(upstream, &known.stored, next.clone(), kept_until);
            match changed.await {
                Ok(Changed::Done(stored)) => {
                    self.seen(known, stored);
                    tell(
                        upstream,
                        was,
                        known.stored.breaker.phase(),
                        Reach::Everybody,
                    );
                    return true;
                }
                Ok(Changed::Meanwhile(stored)) => {
                    self.seen(known, stored);
                    return false;
                }
                Err(error) => self.away(known, &error),
            }
        }
        known.stored.breaker = next;
        tell(
            upstream,
            was,
            known.stored.breaker.phase(),
            Reach::ThisProcess,
        );
        true
    }

    fn seen(&self, known: &mut Known, stored: StoredBreaker) {
        if known.away_at.is_some() {
            tracing::info!("circuit breakers are shared again");
        }
        *known = Known {
            stored,
            seen_at: Some(self.clock.now()),
            away_at: None,
        };
    }

    fn away(&self, known: &mut Known, error: &StoreError) {
        if known.away_at.is_none() {
            let cause = chain(error);
            tracing::error!(
                cause,
                "circuit breakers are not shared with other instances"
            );
        }
        known.away_at = Some(self.clock.now());
    }
}

/// Who goes by a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everybody,
    ThisProcess,
}

/// Leaves the one line that tells of a transition, which is also its metric.
fn tell(upstream: &str, was: Phase, is: Phase, reach: Reach) {
    if was == is {
        return;
    }
    tracing::warn!(
        target: CIRCUIT_TARGET,
        upstream,
        was = was.name(),
        state = is.name(),
        is_shared = reach == Reach::Everybody,
        circuit_transitions = 1,
        "circuit breaker"
    );
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}
