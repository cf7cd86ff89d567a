//! What a request that was let in counted, and how some of it is given back.

use super::ladder::{CountedBy, Refund};
use super::{Admission, Caller, notes};
use crate::limits::{Check, LimitReport, Reading, Subject};

/// Somebody who was let in, how their limits stand, and what it cost them.
#[derive(Debug)]
pub struct Admitted {
    pub caller: Caller,
    pub limits: LimitReport,
    pub charge: Charge,
}

impl Admitted {
    pub(super) fn new(caller: Caller, limits: LimitReport, charge: Charge) -> Self {
        Self {
            caller,
            limits,
            charge,
        }
    }
}

/// What a request counted: the same in every limit that it met.
#[derive(Debug)]
pub struct Charge {
    subject: Subject,
    counted: Vec<(Check, Reading)>,
    by: CountedBy,
}

impl Charge {
    pub(super) fn new(
        subject: Subject,
        checks: Vec<Check>,
        readings: Vec<Reading>,
        by: CountedBy,
    ) -> Self {
        Self {
            subject,
            counted: checks.into_iter().zip(readings).collect(),
            by,
        }
    }

    /// As much of it as a refund takes back.
    fn part(self, cost: u64) -> Vec<(Check, Reading)> {
        let with_cost = |(check, reading): (Check, Reading)| {
            let cost = cost.min(check.cost);
            (Check { cost, ..check }, reading)
        };
        self.counted.into_iter().map(with_cost).collect()
    }
}

impl Admission {
    /// Gives `cost` of what a request counted back, in every limit at once. A window has nothing to
    /// give back once the stretch that the request was counted in is over for good: that only
    /// happens to windows of a few minutes. What no store gives back stays charged.
    pub async fn give_back_part(&self, charge: Charge, cost: u64) {
        if cost == 0 {
            return;
        }
        let (subject, by) = (charge.subject.clone(), charge.by);
        let counted = charge.part(cost);
        let refund = if counted.is_empty() {
            // Whom nothing limits is recorded with what their requests cost all the same.
            Refund::Made
        } else {
            Box::pin(self.0.ladder.refund(&subject, &counted, by)).await
        };
        match refund {
            Refund::Made => notes::given_back(cost, self.now()),
            // A record never says more than was charged.
            Refund::Unknown => notes::recorded_less(cost),
            Refund::NotMade => {}
        }
    }
}
