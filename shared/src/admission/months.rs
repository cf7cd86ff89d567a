//! What is asked of the engines about a user's months apart from requests: how much of the running
//! one is used, and what those that have ended came to.

use super::Admission;
use crate::auth::{Principal, User};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::limits::plan;
use crate::limits::{Check, Period, Subject};
use crate::stores::{CountedMonths, EngineError, ValkeyError};

/// What of past months was leased to Valkey and never spent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unspent(Vec<(Period, u64)>);

impl Unspent {
    pub fn of(&self, period: Period) -> u64 {
        let found = self.0.iter().find(|(of, _)| *of == period);
        found.map_or(0, |(_, unspent)| *unspent)
    }
}

impl Admission {
    /// A user's limit of the month at a moment; `None` is unlimited.
    pub async fn month_of(&self, user: &User, at: Timestamp) -> Option<Check> {
        let policy = self.policy().await;
        plan::month_of(&policy, &Principal::from(user), at)
    }

    /// How much of a user's month is used, as `month` limits it; `None` while Valkey does not say
    /// how much of what was leased to it is spent.
    pub async fn month_used(&self, user: UserId, month: Check) -> Result<Option<u64>, EngineError> {
        let (subject, now) = (Subject::User(user), self.now());
        let checks = [month];
        let readings = match self.0.ladder.valkey() {
            None => Box::pin(self.0.ladder.dynamodb().look(&subject, &checks, now)).await?,
            Some(valkey) => match Box::pin(valkey.look(&subject, &checks, now)).await {
                Ok(readings) => readings,
                Err(ValkeyError::Store(error)) => return Err(error),
                Err(ValkeyError::Away(_) | ValkeyError::NoLink) => return Ok(None),
            },
        };
        Ok(Some(readings.first().map_or(0, |reading| reading.used)))
    }

    /// Begins a user's month at Valkey, unless a request has done so, and answers with what was
    /// never spent of those before. From then on nobody can spend it.
    pub async fn unspent_months(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Unspent, ValkeyError> {
        let Some(valkey) = self.0.ladder.valkey() else {
            return Ok(Unspent::default());
        };
        let rests = Box::pin(valkey.begin_month(&Subject::User(user), now)).await?;
        let of_bucket = |(bucket, unspent)| (Period::of_bucket(bucket), unspent);
        Ok(Unspent(rests.into_iter().map(of_bucket).collect()))
    }

    /// Begins a user's month, unless a request has done so, and answers with what was counted in it
    /// and in those before.
    pub async fn begin_month(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<CountedMonths, EngineError> {
        let dynamodb = self.0.ladder.dynamodb();
        Box::pin(dynamodb.begin_month(&Subject::User(user), now)).await
    }
}
