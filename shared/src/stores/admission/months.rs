//! A user's month, moved on without a request: what was counted before becomes final, and stays
//! there for whoever closes it.

use super::EngineError;
use super::dynamodb::{DynamoDbEngine, MAX_TRIES, Plan, Tried};
use super::windows::{counter_of, windows_of};
use crate::clock::Timestamp;
use crate::limits::policy::Mode;
use crate::limits::{Ask, Check, Counter, Source, Subject, Window, WindowId};
use crate::stores::Item;

/// What was counted in a user's months, as their item has it.
pub(in crate::stores) fn month_of(item: &Item) -> Option<Counter> {
    counter_of(item, &WindowId::MONTH)
}

impl DynamoDbEngine {
    /// Begins the month of `now`, unless a request has done so, and answers with what was counted
    /// in it and in those before; `None` where no month was ever counted in.
    pub async fn begin_month(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Option<Counter>, EngineError> {
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
            let windows = windows_of(&self.item(subject).await?);
            let counter = windows.get(&nothing.id);
            let has_begun = counter.is_none_or(|it| it.newest.0 >= Window::Month.bucket_at(now));
            if has_begun {
                return Ok(counter.cloned());
            }
            // Whatever came of it, the next look says how it stands.
            let _: Tried = self
                .try_update(subject, Plan::new(&ask, &windows).expression)
                .await?;
        }
        Err(EngineError::Throttled)
    }
}
