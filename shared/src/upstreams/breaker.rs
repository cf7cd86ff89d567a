//! The rules of a circuit breaker: when an upstream is left alone, and who tries whether it is back
//! (Michael Nygard, "Release It!", "Circuit Breaker").
//!
//! A breaker is a value; every rule gives the next one, or none if nothing changes. Who holds it,
//! and that only one of several who would change it does, is [`super::breakers`]'s business.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::limits::policy::BreakerPolicy;

/// What is known of an upstream's health.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Breaker {
    pub state: BreakerState,
    /// When calls failed, oldest first: those that still count, or those that opened the breaker.
    pub failures: Vec<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BreakerState {
    /// Calls are made.
    #[default]
    Closed,
    /// Nobody calls, until the trial is due.
    Open {
        opened_at: Timestamp,
        trial_at: Timestamp,
    },
    /// One call tries whether the upstream is back, and nobody else calls.
    HalfOpen {
        opened_at: Timestamp,
        trial: TrialId,
        /// When whoever tries is given up.
        until: Timestamp,
    },
}

/// Tells trials apart. It is random, and names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrialId(pub u64);

/// A state without its details, as it is logged and shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Closed,
    Open,
    HalfOpen,
}

impl Phase {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What a breaker answers to who wants to call.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Call,
    Refused {
        retry_after: Duration,
    },
    /// The caller is to try, if the breaker can be made this one.
    Try(Breaker),
}

/// What a call says of the upstream's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    Good,
    Bad,
    /// Nothing: it was not called, or had no time.
    Unknown,
}

impl Breaker {
    pub fn phase(&self) -> Phase {
        match self.state {
            BreakerState::Closed => Phase::Closed,
            BreakerState::Open { .. } => Phase::Open,
            BreakerState::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// How many failures count now or, while it is not closed, how many opened it.
    pub fn failures(&self, policy: &BreakerPolicy, now: Timestamp) -> usize {
        match self.state {
            BreakerState::Closed => self.counting(policy, now).count(),
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => self.failures.len(),
        }
    }

    /// Since when it has not been closed.
    pub fn opened_at(&self) -> Option<Timestamp> {
        match self.state {
            BreakerState::Closed => None,
            BreakerState::Open { opened_at, .. } | BreakerState::HalfOpen { opened_at, .. } => {
                Some(opened_at)
            }
        }
    }

    /// When the next trial may begin; while one is under way, when another takes its place.
    pub fn next_trial_at(&self) -> Option<Timestamp> {
        match self.state {
            BreakerState::Closed => None,
            BreakerState::Open { trial_at, .. } => Some(trial_at),
            BreakerState::HalfOpen { until, .. } => Some(until),
        }
    }

    /// Whether somebody may call now. A trial is given up after `patience`.
    pub(super) fn ask(&self, now: Timestamp, trial: TrialId, patience: Duration) -> Asked {
        let (Some(opened_at), Some(trial_at)) = (self.opened_at(), self.next_trial_at()) else {
            return Asked::Call;
        };
        if now < trial_at {
            let retry_after = trial_at.since(now);
            return Asked::Refused { retry_after };
        }
        Asked::Try(Self {
            state: BreakerState::HalfOpen {
                opened_at,
                trial,
                until: now.plus(patience),
            },
            failures: self.failures.clone(),
        })
    }

    /// What it becomes when a call fails that was no trial. Calls that began before it opened
    /// change nothing.
    pub(super) fn failed(&self, policy: &BreakerPolicy, now: Timestamp) -> Option<Self> {
        if self.state != BreakerState::Closed {
            return None;
        }
        let mut failures: Vec<Timestamp> = self.counting(policy, now).collect();
        failures.push(now);
        failures.sort_unstable();
        let is_enough = failures.len() >= usize::try_from(policy.failures).unwrap_or(usize::MAX);
        let state = if is_enough {
            BreakerState::Open {
                opened_at: now,
                trial_at: now.plus(policy.open),
            }
        } else {
            BreakerState::Closed
        };
        Some(Self { state, failures })
    }

    /// What it becomes when a trial ends; nothing if the trial was given up or the breaker reset
    /// meanwhile. What says nothing leaves the next caller to try at once.
    pub(super) fn tried(
        &self,
        ended: TrialId,
        health: Health,
        policy: &BreakerPolicy,
        now: Timestamp,
    ) -> Option<Self> {
        let opened_at = match self.state {
            BreakerState::HalfOpen {
                opened_at, trial, ..
            } if trial == ended => opened_at,
            _ => return None,
        };
        let trial_at = match health {
            Health::Good => return Some(Self::default()),
            Health::Bad => now.plus(policy.open),
            Health::Unknown => now,
        };
        Some(Self {
            state: BreakerState::Open {
                opened_at,
                trial_at,
            },
            failures: self.failures.clone(),
        })
    }

    /// The failures that are not too long ago. One that another instance's clock has ahead counts.
    fn counting(
        &self,
        policy: &BreakerPolicy,
        now: Timestamp,
    ) -> impl Iterator<Item = Timestamp> + '_ {
        let within = policy.within;
        let failures = self.failures.iter().copied();
        failures.filter(move |at| now.since(*at) < within)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn policy() -> BreakerPolicy {
        BreakerPolicy {
            failures: 3,
            within: Duration::from_mins(1),
            open: Duration::from_secs(30),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        T.plus(Duration::from_secs(seconds))
    }

    fn after_failures(times: &[u64]) -> Breaker {
        let mut breaker = Breaker::default();
        for time in times {
            breaker = breaker.failed(&policy(), at(*time)).unwrap_or(breaker);
        }
        breaker
    }

    fn trial_of(breaker: &Breaker, now: Timestamp, id: u64) -> Breaker {
        match breaker.ask(now, TrialId(id), PATIENCE) {
            Asked::Try(next) => next,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_many_failures_as_the_policy_says_within_its_time_open_it() {
        let cases = [
            (&[0, 1][..], Phase::Closed),
            (&[0, 1, 2], Phase::Open),
            (&[0, 30, 59], Phase::Open),
            (&[0, 30, 60], Phase::Closed),
            (&[0, 50, 65, 70], Phase::Open),
            (&[0, 61, 122, 183], Phase::Closed),
        ];

        for (times, expected) in cases {
            assert_eq!(after_failures(times).phase(), expected, "{times:?}");
        }
        assert_eq!(after_failures(&[0, 30]).failures(&policy(), at(60)), 1);
    }

    #[test]
    fn while_it_is_open_nobody_calls_until_the_trial_is_due() {
        let open = after_failures(&[0, 1, 2]);

        let asked = |seconds| open.ask(at(seconds), TrialId(1), PATIENCE);

        let seconds = Duration::from_secs;
        assert_eq!(
            asked(2),
            Asked::Refused {
                retry_after: seconds(30)
            }
        );
        assert_eq!(
            asked(31),
            Asked::Refused {
                retry_after: seconds(1)
            }
        );
        assert!(matches!(asked(32), Asked::Try(_)));
        assert_eq!(
            (open.opened_at(), open.next_trial_at()),
            (Some(at(2)), Some(at(32)))
        );
    }

    #[test]
    fn while_one_tries_nobody_else_calls_until_it_is_given_up() {
        let open = after_failures(&[0, 1, 2]);
        let half_open = trial_of(&open, at(40), 1);

        let early = half_open.ask(at(49), TrialId(2), PATIENCE);
        let next = trial_of(&half_open, at(50), 2);

        let retry_after = Duration::from_secs(1);
        assert_eq!(early, Asked::Refused { retry_after });
        assert_eq!(next.phase(), Phase::HalfOpen);
        assert_eq!(
            half_open.tried(TrialId(1), Health::Good, &policy(), at(51)),
            Some(Breaker::default())
        );
        assert_eq!(
            next.tried(TrialId(1), Health::Good, &policy(), at(51)),
            None
        );
    }

    #[test]
    fn a_trial_closes_it_or_opens_it_again() {
        let half_open = trial_of(&after_failures(&[0, 1, 2]), at(40), 1);

        let after = |health| {
            half_open
                .tried(TrialId(1), health, &policy(), at(41))
                .unwrap()
        };

        assert_eq!(after(Health::Good), Breaker::default());
        assert_eq!(after(Health::Bad).next_trial_at(), Some(at(71)));
        assert_eq!(after(Health::Unknown).next_trial_at(), Some(at(41)));
        for health in [Health::Bad, Health::Unknown] {
            assert_eq!(after(health).opened_at(), Some(at(2)), "{health:?}");
        }
    }

    #[test]
    fn calls_that_end_late_change_nothing() {
        let open = after_failures(&[0, 1, 2]);
        let half_open = trial_of(&open, at(40), 1);

        assert_eq!(open.failed(&policy(), at(3)), None);
        assert_eq!(half_open.failed(&policy(), at(41)), None);
        assert_eq!(open.tried(TrialId(1), Health::Bad, &policy(), at(41)), None);
    }

    proptest! {
        /// The model: all failures of an endless log, looked at anew each time.
        #[test]
        fn it_opens_exactly_when_the_last_failures_lie_close_enough(gaps in proptest::collection::vec(0_u64..50, 1..40)) {
            let policy = policy();
            let mut breaker = Breaker::default();
            let (mut now, mut log) = (T, vec![]);
            for gap in gaps {
                now = now.plus(Duration::from_secs(gap));
                log.push(now);
                breaker = breaker.failed(&policy, now).unwrap();
                let close = log.iter().filter(|at| now.since(**at) < policy.within).count();
                prop_assert_eq!(breaker.phase() == Phase::Open, close >= 3);
                prop_assert!(breaker.failures.len() <= 3);
                if breaker.phase() == Phase::Open {
                    break;
                }
            }
        }
    }
}
