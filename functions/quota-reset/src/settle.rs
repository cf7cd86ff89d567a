//! What is due to one user: periods to be closed, limits to be dropped, a notice to be raised.

use turnpike_shared::admission::Unspent;
use turnpike_shared::auth::User;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::{Period, Threshold, Told};
use turnpike_shared::stores::{
    ClosedPeriod, EngineError, Metered, Notice, StoreError, ValkeyError, Whose,
};
use turnpike_shared::usage::{Bucket, Granularity, UserUsage};

use crate::{App, Report};

/// Why a user could not be settled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the month could not be looked at")]
    Engine(#[from] EngineError),
}

impl App {
    /// Does what is due to a user now. Periods come first: the limit that held at their end may be
    /// one that has expired since.
    pub(crate) async fn settle(&self, metered: &Metered) -> Result<Report, SettleError> {
        let now = self.clock.now();
        let mut done = self.close_periods(metered, now).await?;
        done.overrides_dropped = u64::from(self.drop_override(&metered.user, now).await?);
        done.notices_raised = u64::from(self.raise_notice(metered, now).await?);
        Ok(done)
    }

    async fn close_periods(
        &self,
        metered: &Metered,
        now: Timestamp,
    ) -> Result<Report, SettleError> {
        let user = &metered.user;
        let mut done = Report::default();
        let due = Period::due(metered.closed, user.created_at, now);
        let Some(last) = due.last().copied() else {
            return Ok(done);
        };
        let unspent = match self.admission.unspent_months(user.id, now).await {
            Ok(unspent) => unspent,
            Err(ValkeyError::Store(error)) => return Err(error.into()),
            Err(_) if last.may_stay_open(now) => {
                done.deferred = 1;
                return Ok(done);
            }
            // Nobody knows any more what was not spent of it, so all that was leased is charged.
            Err(_) => Unspent::default(),
        };
        let counted = self.admission.begin_month(user.id, now).await?;
        for period in due {
            let charged = counted.in_period(period).saturating_sub(unspent.of(period));
            done.add(self.close_period(user, period, charged, now).await?);
        }
        self.periods.closed_up_to(user.id, last).await?;
        Ok(done)
    }

    /// Writes down what a period came to, unless that is nothing.
    async fn close_period(
        &self,
        user: &User,
        period: Period,
        charged: u64,
        now: Timestamp,
    ) -> Result<Report, SettleError> {
        let limit = self.admission.month_of(user, period.last_moment()).await;
        let limit = limit.map(|month| month.limit);
        let recorded = self.recorded(user, period, now).await?;
        if charged == 0 && recorded == 0 {
            return Ok(Report::default());
        }
        // Without a limit of the month nothing is counted in it. Records are lost and never made up:
        // where there are more of them than was counted, there was no limit for a part of the time.
        let is_counted = limit.is_some() || charged > 0;
        let is_partial = is_counted && (limit.is_none() || recorded > charged);
        let closed = ClosedPeriod {
            user: user.id,
            period,
            charged: Some(charged).filter(|_| is_counted),
            is_partial,
            recorded,
            limit,
            tier: user.tier.clone(),
        };
        if !self.periods.archive(closed).await? {
            return Ok(Report::default());
        }
        Ok(Report {
            periods_closed: 1,
            partial: u64::from(is_partial),
            charged,
            recorded,
            unrecorded: charged.saturating_sub(recorded),
            ..Report::default()
        })
    }

    /// What the records of a period come to, as far as they are summed up.
    async fn recorded(
        &self,
        user: &User,
        period: Period,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let day_of = |moment| Bucket::of(moment, Granularity::Day);
        let (first, last) = (day_of(period.start()), day_of(period.last_moment()));
        let mut recorded = 0;
        let whose = Whose::User(user.id);
        self.usage
            .read(whose, first, last, now, |_, usage: UserUsage| {
                recorded += usage.total.charged;
            })
            .await?;
        Ok(recorded)
    }

    async fn drop_override(&self, user: &User, now: Timestamp) -> Result<bool, StoreError> {
        let has_expired = user.quota_override.is_some_and(|it| !it.is_in_force(now));
        if !has_expired {
            return Ok(false);
        }
        let dropped = self.periods.drop_expired_override(user.id, now);
        self.admission.changing(user.id, dropped).await
    }

    async fn raise_notice(&self, metered: &Metered, now: Timestamp) -> Result<bool, SettleError> {
        let owner = &metered.user;
        let Some(month) = self.admission.month_of(owner, now).await else {
            return Ok(false);
        };
        let (period, limit) = (Period::of(now), month.limit);
        let told = |threshold| Told { period, threshold };
        let news = |used| {
            let reached = Threshold::reached(used, limit);
            reached.filter(|threshold| !metered.was_told(told(*threshold)))
        };
        // What is counted includes what is leased and not spent: never less than what is used.
        let counted = metered.month.as_ref();
        let counted = counted.map_or(0, |it| it.count_in(period.bucket()));
        if news(counted).is_none() {
            return Ok(false);
        }
        // Nobody is told of what may not have happened: without Valkey, a later run tells it.
        let Some(spent) = self.admission.month_used(owner.id, month).await? else {
            return Ok(false);
        };
        let Some(threshold) = news(spent) else {
            return Ok(false);
        };
        let notice = Notice {
            user: owner.id,
            told: told(threshold),
            used: spent,
            limit,
        };
        Ok(self.periods.tell(notice, now).await?)
    }
}
