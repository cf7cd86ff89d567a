//! Going through the users of shards: page by page, some users at a time, as long as there is time.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::chain;
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{Metered, StoreError};

use crate::report::ShardReport;
use crate::settle::SettleError;
use crate::{App, Report, ResetError};

/// Users of one shard that are settled side by side; shards are, too.
const SIDE_BY_SIDE: usize = 4;
/// What is left of the time when no further page is begun: more than a page takes when every call
/// of it is tried again.
const SPARE: Duration = Duration::from_secs(30);

impl App {
    /// Goes through the users of `shards` until `deadline`. A user who cannot be settled keeps
    /// nobody else back, nor does a shard.
    pub(crate) async fn sweep(
        &self,
        shards: Vec<u8>,
        deadline: Timestamp,
    ) -> Result<Report, ResetError> {
        let swept = shards.into_iter().map(|shard| async move {
            let swept = self.sweep_shard(shard, deadline.minus(SPARE)).await;
            swept.map_err(|source| ResetError::Shard { shard, source })
        });
        let mut whole = Report::default();
        for swept in join_all(swept).await {
            whole.add(swept?);
        }
        match whole {
            Report { failed: 0, .. } => Ok(whole),
            Report { failed, users, .. } => Err(ResetError::Users { failed, users }),
        }
    }

    async fn sweep_shard(&self, shard: u8, until: Timestamp) -> Result<Report, StoreError> {
        let before = self.periods.position(shard, self.clock.now()).await?;
        let (mut report, mut after) = (Report::default(), before);
        let goes_on_behind = loop {
            if self.clock.now() >= until {
                break after;
            }
            let page = self.periods.users_of_shard(shard, after).await?;
            let settled = stream::iter(page.users)
                .map(|(id, metered)| self.settled(id, metered))
                .buffer_unordered(SIDE_BY_SIDE);
            settled
                .for_each(|settled| {
                    report.add(settled);
                    std::future::ready(())
                })
                .await;
            match page.goes_on_behind {
                Some(last) => after = Some(last),
                None => break None,
            }
        };
        let now = self.clock.now();
        match goes_on_behind {
            Some(last) => self.periods.go_on_behind(shard, last, now).await?,
            None if before.is_some() => self.periods.is_through(shard).await?,
            None => {}
        }
        report.shards.push(ShardReport {
            shard,
            goes_on_behind,
        });
        Ok(report)
    }

    /// What was done of a user; a failure is logged here and counted.
    async fn settled(&self, id: UserId, metered: Result<Metered, StoreError>) -> Report {
        let settled = match metered {
            Ok(metered) => self.settle(&metered).await,
            Err(error) => Err(SettleError::from(error)),
        };
        let done = settled.unwrap_or_else(|error| {
            tracing::error!(user_id = %id, cause = chain(&error), "a user could not be settled");
            Report {
                failed: 1,
                ..Report::default()
            }
        });
        Report { users: 1, ..done }
    }
}
