//! Summing up one slice.
//!
//! Nothing is ever added to what is there: the slice is read whole and its sums are written anew. So an
//! event that comes twice, late, out of order or in parts changes nothing, and one that was handled in
//! part is handled again.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use futures_util::stream;
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{StoreError, UsageStore, Whose};
use turnpike_shared::usage::{Slice, StageUsage, Sum, UserUsage};

use crate::event::Dirty;

/// How many users' sums are written at a time.
const AT_A_TIME: usize = 16;

/// What one slice came to.
pub(crate) struct SliceSummedUp {
    pub(crate) records: u64,
    pub(crate) users: usize,
}

/// Reads the slice and writes the sums of everybody who is dirty, and the stage's. When one cannot be
/// written, the others are nevertheless.
pub(crate) async fn sum_up(
    usage: &UsageStore,
    slice: Slice,
    dirty: &Dirty,
) -> Result<SliceSummedUp, StoreError> {
    let mut stage = StageUsage::default();
    let mut users: HashMap<UserId, UserUsage> = HashMap::new();
    let read = usage.read_slice(slice, |record| {
        stage.add(record);
        if let Some(caller) = &record.caller
            && dirty.includes(caller.user)
        {
            users.entry(caller.user).or_default().add(record);
        }
    });
    read.await?;
    let done = SliceSummedUp {
        records: stage.count(),
        users: users.len(),
    };

    let put = |(user, sum)| Box::pin(put_in_hour_and_day(usage, Whose::User(user), slice, sum));
    let all_users = stream::iter(users)
        .map(put)
        .buffer_unordered(AT_A_TIME)
        .fold(Ok(()), async |outcome: Result<(), StoreError>, one| {
            outcome.and(one)
        });
    let (users, stage) = futures_util::join!(
        all_users,
        Box::pin(put_in_hour_and_day(usage, Whose::Everybodys, slice, stage))
    );
    users.and(stage).map(|()| done)
}

/// The day is summed up even where the hour was as new: whoever wrote that may not have come so far.
async fn put_in_hour_and_day<S: Sum>(
    usage: &UsageStore,
    whose: Whose,
    slice: Slice,
    sum: S,
) -> Result<(), StoreError> {
    usage.put_slice(whose, slice, sum).await?;
    usage.sum_up_day::<S>(whose, slice.hour().day()).await
}
