//! What was just refused, so that who asks again and again is refused without a call.
//!
//! A first refusal is only noted: whoever was refused once is asked about anew, so that a limit
//! that was lifted elsewhere meanwhile holds on their next request. From the second within a second
//! on, a store's word is taken for a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::clock::Timestamp;
use crate::limits::{Check, LimitReport, Subject, WindowId};

/// How long a refusal is remembered at most.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How many.
const MAX_REFUSALS: u64 = 10_000;

#[derive(Clone)]
struct Refused {
    /// The limit that refused.
    id: WindowId,
    limit: u64,
    /// The least cost that was refused.
    cost: u64,
    until: Timestamp,
    /// Whether it refused again while it was noted.
    is_repeated: bool,
    report: Arc<LimitReport>,
}

/// Refusals of less than a second ago, by subject. Clones share them: all functions of a process
/// are to have the same.
#[derive(Clone)]
pub struct Refusals {
    by_subject: Cache<Subject, Arc<[Refused]>>,
    /// How often something was forgotten.
    forgotten: Arc<AtomicU64>,
}

/// The moment at which a store was asked, as far as changes of limits are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Since(u64);

impl Default for Refusals {
    fn default() -> Self {
        let by_subject = Cache::builder()
            .max_capacity(MAX_REFUSALS)
            .time_to_live(REMEMBERED)
            .build();
        Self {
            by_subject,
            forgotten: Arc::default(),
        }
    }
}

impl Refusals {
    /// The moment before a store is asked.
    pub(super) fn since(&self) -> Since {
        Since(self.forgotten.load(Ordering::Acquire))
    }

    /// The report of a repeated refusal that still holds for one of `checks`.
    pub(super) fn of(
        &self,
        subject: &Subject,
        checks: &[Check],
        now: Timestamp,
    ) -> Option<Arc<LimitReport>> {
        let remembered = self.by_subject.get(subject)?;
        let holds = |refused: &&Refused| {
            let is_it = |check: &Check| {
                check.id == refused.id && check.limit == refused.limit && check.cost >= refused.cost
            };
            refused.is_repeated && now < refused.until && checks.iter().any(is_it)
        };
        let refused = remembered.iter().find(holds)?;
        Some(Arc::clone(&refused.report))
    }

    /// Remembers the limits that refused, until they would admit or a second has passed. What was
    /// asked before something was forgotten may be no longer so.
    pub(super) fn remember(
        &self,
        subject: &Subject,
        checks: &[Check],
        report: &LimitReport,
        asked: Since,
        now: Timestamp,
    ) {
        if asked != self.since() {
            return;
        }
        let a_second_on = now.plus(REMEMBERED);
        let report = Arc::new(report.clone());
        let still_holds = |refused: &Refused| now < refused.until;
        let before = self.by_subject.get(subject).unwrap_or_default();
        let mut refused: Vec<Refused> = before.iter().filter(|r| still_holds(r)).cloned().collect();
        for (check, state) in checks.iter().zip(&report.states) {
            if state.refused {
                let is_it = |old: &Refused| old.id == check.id && old.limit == check.limit;
                let is_repeated = refused.iter().any(is_it);
                refused.retain(|old| !is_it(old));
                refused.push(Refused {
                    id: check.id.clone(),
                    limit: check.limit,
                    cost: check.cost,
                    until: state.reset_at.unwrap_or(a_second_on).min(a_second_on),
                    is_repeated,
                    report: Arc::clone(&report),
                });
            }
        }
        self.by_subject.insert(subject.clone(), refused.into());
    }

    /// Forgets what a subject was refused, as its limits may have changed.
    pub(super) fn forget(&self, subject: &Subject) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.by_subject.invalidate(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::policy::Mode;
    use crate::limits::{Reading, Source, Window};

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn subject() -> Subject {
        Subject::Other("TEST".to_owned())
    }

    fn check() -> Check {
        Check {
            name: "hour".into(),
            id: WindowId::HOUR,
            limit: 1,
            window: Window::HOUR,
            cost: 1,
            source: Source::Tier,
            mode: Mode::Enforce,
        }
    }

    fn refusal() -> LimitReport {
        let reading = Reading {
            used: 1,
            fits: false,
            whole_at: T.plus(Duration::from_hours(1)),
            admits_at: Some(T.plus(Duration::from_hours(1))),
            bucket: 0,
        };
        LimitReport::new(&[check()], &[reading], false)
    }

    fn is_known(refusals: &Refusals, now: Timestamp) -> bool {
        refusals.of(&subject(), &[check()], now).is_some()
    }

    #[test]
    fn a_refusal_is_taken_for_granted_from_the_second_within_a_second_on() {
        let refusals = Refusals::default();
        let later = T.plus(REMEMBERED);
        let mut known = vec![];

        for now in [T, T, later, later] {
            refusals.remember(&subject(), &[check()], &refusal(), refusals.since(), now);
            known.push(is_known(&refusals, now));
        }

        assert_eq!(known, [false, true, false, true]);
        assert!(!is_known(&refusals, later.plus(REMEMBERED)));
    }

    #[test]
    fn what_was_asked_before_a_change_is_not_remembered_after_it() {
        let refusals = Refusals::default();
        let of_another_function = refusals.clone();
        let asked = refusals.since();
        refusals.remember(&subject(), &[check()], &refusal(), asked, T);
        refusals.remember(&subject(), &[check()], &refusal(), asked, T);
        assert!(is_known(&refusals, T));

        of_another_function.forget(&subject());
        for _ in 0..2 {
            refusals.remember(&subject(), &[check()], &refusal(), asked, T);
        }

        assert!(!is_known(&refusals, T));
    }
}
