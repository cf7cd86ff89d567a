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

/// A subject and one of its limits.
type Key = (Subject, WindowId, u64);

#[derive(Clone)]
struct Refused {
    /// The least cost that was refused.
    cost: u64,
    until: Timestamp,
    report: Arc<LimitReport>,
}

/// Refusals of less than a second ago, by the limit that refused.
pub(super) struct Refusals(Cache<Key, Refused>);

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
        checks.iter().find_map(|check| {
            let refused = self.0.get(&key(subject, check))?;
            let holds = now < refused.until && check.cost >= refused.cost;
            holds.then_some(refused.report)
        })
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
        for (check, state) in checks.iter().zip(&report.states) {
            if state.refused {
                let refused = Refused {
                    cost: check.cost,
                    until: state.reset_at.unwrap_or(a_second_on).min(a_second_on),
                    report: Arc::clone(&report),
                };
                self.0.insert(key(subject, check), refused);
            }
        }
    }
}

fn key(subject: &Subject, check: &Check) -> Key {
    (subject.clone(), check.id.clone(), check.limit)
}
