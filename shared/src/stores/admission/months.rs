//! A user's month, moved on without a request: what was counted before becomes final, and stays
//! there for whoever closes it.

use std::collections::BTreeMap;

use super::EngineError;
use super::dynamodb::{DynamoDbEngine, MAX_TRIES, Plan, Tried};
use super::reset::forgiven_in;
use super::windows::{counter_of, windows_of};
use crate::clock::Timestamp;
use crate::limits::policy::Mode;
use crate::limits::{Ask, Check, Counter, Period, Source, Subject, Window, WindowId};
use crate::stores::Item;
use crate::stores::tables::admission::month_of_forgiven;

/// What was counted in a user's months, as their item has it.
pub(in crate::stores) fn month_of(item: &Item) -> Option<Counter> {
    counter_of(item, &WindowId::MONTH)
}

/// What was counted in a user's months, seen at one moment.
#[derive(Clone, Debug, Default)]
pub struct CountedMonths(BTreeMap<i64, u64>);

impl CountedMonths {
    fn of(item: &Item) -> Self {
        let mut counted: BTreeMap<i64, u64> = item
            .keys()
            .filter_map(|name| month_of_forgiven(name))
            .map(|month| (month, forgiven_in(item, month)))
            .collect();
        for (month, count) in month_of(item).iter().flat_map(Counter::buckets) {
            *counted.entry(month).or_default() += count;
        }
        Self(counted)
    }

    /// What was counted in a period, whether it still counts or an admin's reset took it out.
    pub fn in_period(&self, period: Period) -> u64 {
        self.0.get(&period.bucket()).copied().unwrap_or_default()
    }
}

impl DynamoDbEngine {
    /// Begins the month of `now`, unless a request has done so, and answers with what was counted
    /// in it and in those before.
    pub async fn begin_month(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<CountedMonths, EngineError> {
        let nothing = Check {
            name: "month".into(),
            id: WindowId::MONTH,
            limit: 0,
            window: Window::Month,
            cost: 0,
            source: Source::Tier,
            mode: Mode::Shadow,
        };
        let ask = Ask {
            subject,
            proof: None,
            checks: std::slice::from_ref(&nothing),
            now,
        };
        for _ in 0..MAX_TRIES {
            let item = self.item(subject).await?;
            let windows = windows_of(&item);
            let counter = windows.get(&nothing.id);
            let has_begun = counter.is_none_or(|it| it.newest.0 >= Window::Month.bucket_at(now));
            if has_begun {
                return Ok(CountedMonths::of(&item));
            }
            // Whatever came of it, the next look says how it stands.
            let _: Tried = self
                .try_update(subject, Plan::new(&ask, &windows).expression)
                .await?;
        }
        Err(EngineError::Throttled)
    }
}
