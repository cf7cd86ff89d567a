//! Counts what the tiers are asked for, and adds it up in the store after the answers.
//!
//! Nobody waits for it. A process that is killed loses what it has not written: about a second's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::CacheOwner;
use super::statistics::{CacheTier, Slice, Tally, TierCounts, slice_of};
use crate::afterwards::Afterwards;
use crate::clock::{Clock, Timestamp};
use crate::ids::UserId;
use crate::stores::cache::{CacheTable, Counted};

/// How long something counted waits to be written with more.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Of how many owners and slices something waits at most. What is counted of more is lost.
const MAX_WAITING: usize = 1_000;
/// How many writes of one flush are under way at a time.
const AT_A_TIME: usize = 8;

type Place = (CacheOwner, Timestamp, u64);

#[derive(Clone)]
pub(super) struct Recorder(Arc<Inner>);

struct Inner {
    table: CacheTable,
    clock: Clock,
    afterwards: Afterwards,
    /// Tells this process from others, as a rule.
    number: u8,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    tallies: HashMap<Place, Tally>,
    /// Since when something waits.
    since: Option<Timestamp>,
    is_timer_set: bool,
}

impl Recorder {
    pub(super) fn new(table: CacheTable, clock: Clock, afterwards: Afterwards) -> Self {
        // The random end of an id.
        let id = UserId::new(clock.now()).bytes();
        Self(Arc::new(Inner {
            number: id[id.len() - 1],
            table,
            clock,
            afterwards,
            waiting: Mutex::default(),
        }))
    }

    /// Counts something of a tier, under the owner's newest invalidation of everything.
    pub(super) fn count(
        &self,
        owner: CacheOwner,
        everything: u64,
        tier: CacheTier,
        counts: &TierCounts,
    ) {
        let now = self.0.clock.now();
        let mut waiting = self.waiting();
        let place = (owner, slice_of(now), everything);
        let has_room = waiting.tallies.len() < MAX_WAITING || waiting.tallies.contains_key(&place);
        if has_room {
            let tally = waiting.tallies.entry(place).or_default();
            tally.of_mut(tier).add(counts);
            waiting.since.get_or_insert(now);
        }
    }

    /// Begins to write what has waited long enough, after the answer.
    pub(super) async fn settle_afterwards(&self) {
        if self.is_due() {
            let recorder = self.clone();
            let flush = async move { recorder.flush().await };
            self.0.afterwards.begin(flush).await;
        }
    }

    /// Writes what has waited long enough.
    pub(super) async fn settle(&self) {
        if self.is_due() {
            self.flush().await;
        }
    }

    /// Whether something has waited long enough. If not, it is seen to that it is written later even
    /// if nothing more comes; an instance that is frozen writes it when it wakes up.
    fn is_due(&self) -> bool {
        let now = self.0.clock.now();
        let mut waiting = self.waiting();
        let Some(since) = waiting.since else {
            return false;
        };
        let is_due = now.since(since) >= MAX_WAIT;
        let sets_timer = !is_due && !std::mem::replace(&mut waiting.is_timer_set, true);
        if sets_timer {
            let recorder = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(MAX_WAIT).await;
                recorder.waiting().is_timer_set = false;
                recorder.flush().await;
            });
        }
        is_due
    }

    /// Writes everything that waits. What cannot be written waits on.
    pub(super) async fn flush(&self) {
        let taken = {
            let mut waiting = self.waiting();
            waiting.since = None;
            std::mem::take(&mut waiting.tallies)
        };
        let mut totals: HashMap<Timestamp, Tally> = HashMap::new();
        let mut writes = vec![];
        for ((owner, start, everything), tally) in taken {
            totals.entry(start).or_default().add(&tally);
            let slice = Slice {
                start,
                everything,
                tally,
            };
            writes.push((Counted::Of(owner), slice));
        }
        let by = self.0.number;
        let of_all = |(start, tally)| {
            let everything = 0;
            let slice = Slice {
                start,
                everything,
                tally,
            };
            (Counted::OfAll { by }, slice)
        };
        writes.extend(totals.into_iter().map(of_all));
        self.write(writes).await;
    }

    /// Writes a few at a time. Whether a write that failed happened is not known: it is not
    /// repeated, so that nothing is counted twice.
    async fn write(&self, writes: Vec<(Counted, Slice)>) {
        let mut under_way = tokio::task::JoinSet::new();
        for (counted, slice) in writes {
            if under_way.len() >= AT_A_TIME {
                under_way.join_next().await;
            }
            let table = self.0.table.clone();
            under_way.spawn(async move {
                if let Err(error) = table.add_statistics(counted, &slice).await {
                    let cause = crate::errors::chain(&error);
                    tracing::debug!(cause, "statistics of the cache are lost");
                }
            });
        }
        under_way.join_all().await;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}
