//! What was just refused, so that who asks again at once is refused without a call.

use std::sync::Arc;
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
    report: Arc<LimitReport>,
}

/// Refusals of less than a second ago, by subject.
pub(super) struct Refusals(Cache<Subject, Arc<[Refused]>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_REFUSALS)
                .time_to_live(REMEMBERED)
                .build(),
        )
    }
}

impl Refusals {
    /// The report of a refusal that still holds for one of `checks`.
    pub(super) fn of(
        &self,
        subject: &Subject,
        checks: &[Check],
        now: Timestamp,
    ) -> Option<Arc<LimitReport>> {
        let remembered = self.0.get(subject)?;
        let holds = |refused: &&Refused| {
            let is_it = |check: &Check| {
                check.id == refused.id && check.limit == refused.limit && check.cost >= refused.cost
            };
            now < refused.until && checks.iter().any(is_it)
        };
        let refused = remembered.iter().find(holds)?;
        Some(Arc::clone(&refused.report))
    }

    /// Remembers the limits that refused, until they would admit or a second has passed.
    pub(super) fn remember(
        &self,
        subject: &Subject,
        checks: &[Check],
        report: &LimitReport,
        now: Timestamp,
    ) {
        let a_second_on = now.plus(REMEMBERED);
        let report = Arc::new(report.clone());
        let still_holds = |refused: &Refused| now < refused.until;
        let before = self.0.get(subject).unwrap_or_default();
        let mut refused: Vec<Refused> = before.iter().filter(|r| still_holds(r)).cloned().collect();
        for (check, state) in checks.iter().zip(&report.states) {
            if state.refused {
                refused.retain(|old| old.id != check.id || old.limit != check.limit);
                refused.push(Refused {
                    id: check.id.clone(),
                    limit: check.limit,
                    cost: check.cost,
                    until: state.reset_at.unwrap_or(a_second_on).min(a_second_on),
                    report: Arc::clone(&report),
                });
            }
        }
        self.0.insert(subject.clone(), refused.into());
    }

    /// Forgets what a subject was refused, as its limits may have changed.
    pub(super) fn forget(&self, subject: &Subject) {
        self.0.invalidate(subject);
    }
}
