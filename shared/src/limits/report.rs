//! How the limits of a request stand, for whoever shows them.

use std::borrow::Cow;

use super::policy::Mode;
use super::{Check, Reading, Source, Window};
use crate::clock::Timestamp;

/// One limit and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitState {
    pub name: Cow<'static, str>,
    pub limit: u64,
    pub used: u64,
    pub window: Window,
    pub source: Source,
    pub mode: Mode,
    /// When it is whole again if nothing more is sent; of one that refused, when the request would
    /// be admitted. `None` if never.
    pub reset_at: Option<Timestamp>,
    /// Whether it stood in the way of the request.
    pub refused: bool,
}

impl LimitState {
    fn new(check: &Check, reading: &Reading, is_counted: bool) -> Self {
        let refused = !is_counted && check.refuses(reading);
        Self {
            name: check.name.clone(),
            limit: check.limit,
            used: reading.used,
            window: check.window,
            source: check.source,
            mode: check.mode,
            reset_at: if refused {
                reading.admits_at
            } else {
                Some(reading.whole_at)
            },
            refused,
        }
    }

    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Whether less of this limit is left than of another, as a share of the whole.
    fn is_scarcer_than(&self, other: &Self) -> bool {
        let share = |of: &Self, by: &Self| u128::from(of.remaining()) * u128::from(by.limit.max(1));
        share(self, other) < share(other, self)
    }
}

/// The limits of one request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LimitReport {
    pub states: Vec<LimitState>,
}

impl LimitReport {
    /// What an engine read. `is_counted` says whether the request is in the readings.
    pub fn new(checks: &[Check], readings: &[Reading], is_counted: bool) -> Self {
        let states = checks.iter().zip(readings);
        let states = states.map(|(check, reading)| LimitState::new(check, reading, is_counted));
        Self {
            states: states.collect(),
        }
    }

    /// Adds another subject's limits to this request's.
    pub fn extend(&mut self, other: Self) {
        self.states.extend(other.states);
    }

    /// Takes from every limit what a request counted in it and was given back.
    pub fn give_back(&mut self, cost: u64, now: Timestamp) {
        for state in &mut self.states {
            state.used = state.used.saturating_sub(cost);
            if state.used == 0 {
                state.reset_at = Some(now);
            }
        }
    }

    /// What bounds the caller: without what is tried out in shadow mode.
    pub fn enforced(&self) -> impl Iterator<Item = &LimitState> {
        let is_enforced = |state: &&LimitState| state.mode == Mode::Enforce;
        self.states.iter().filter(is_enforced)
    }

    /// The limit to show first: the one that refused for longest, else the one of which the
    /// smallest share is left.
    pub fn tightest(&self) -> Option<&LimitState> {
        let longest =
            |state: &LimitState| state.reset_at.unwrap_or(Timestamp::from_millis(i64::MAX));
        let refusing = self.enforced().filter(|state| state.refused);
        refusing.max_by_key(|state| longest(state)).or_else(|| {
            self.enforced().reduce(|tightest, state| {
                if state.is_scarcer_than(tightest) {
                    state
                } else {
                    tightest
                }
            })
        })
    }

    /// The names of the limits that refused.
    pub fn violated(&self) -> Vec<String> {
        let refused = self.enforced().filter(|state| state.refused);
        refused
            .map(|state| state.name.clone().into_owned())
            .collect()
    }

    pub fn is_refused(&self) -> bool {
        self.enforced().any(|state| state.refused)
    }

    /// When a refused request would be admitted; `None` if never.
    pub fn retry_at(&self) -> Option<Timestamp> {
        let mut latest = None;
        for state in self.enforced().filter(|state| state.refused) {
            latest = latest.max(Some(state.reset_at?));
        }
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &'static str, limit: u64, used: u64, reset: Option<i64>) -> LimitState {
        LimitState {
            name: name.into(),
            limit,
            used,
            window: Window::HOUR,
            source: Source::Tier,
            mode: Mode::Enforce,
            reset_at: reset.map(Timestamp::from_millis),
            refused: false,
        }
    }

    fn refusing(state: LimitState) -> LimitState {
        LimitState {
            refused: true,
            ..state
        }
    }

    #[test]
    fn the_smallest_share_is_shown_not_the_smallest_number() {
        let states = vec![
            state("minute", 20, 1, Some(1)),
            state("day", 1_000, 960, Some(1)),
        ];

        let report = LimitReport { states };

        assert_eq!(report.tightest().unwrap().name, "day");
    }

    #[test]
    fn of_several_that_refuse_the_one_that_does_so_longest_is_shown() {
        let states = vec![
            state("spent", 5, 5, Some(9_000)),
            refusing(state("minute", 20, 20, Some(1_000))),
            refusing(state("hour", 100, 100, Some(2_000))),
        ];

        let report = LimitReport { states };

        assert_eq!(report.tightest().unwrap().name, "hour");
        assert_eq!(report.retry_at(), Some(Timestamp::from_millis(2_000)));
        assert_eq!(report.violated(), ["minute", "hour"]);
    }

    #[test]
    fn what_never_admits_has_no_time_to_retry_at() {
        let states = vec![
            refusing(state("minute", 20, 20, Some(1_000))),
            refusing(state("none", 0, 0, None)),
        ];

        let report = LimitReport { states };

        assert_eq!(report.retry_at(), None);
        assert_eq!(report.tightest().unwrap().name, "none");
    }

    #[test]
    fn a_limit_in_shadow_mode_bounds_nobody() {
        let shadow = LimitState {
            mode: Mode::Shadow,
            ..state("trial", 1, 9, Some(1))
        };

        let report = LimitReport {
            states: vec![shadow, state("hour", 100, 1, Some(1))],
        };

        assert_eq!(report.tightest().unwrap().name, "hour");
        assert!(!report.is_refused());
    }
}
