//! The nearest tier: what this process has at hand, bounded by its weight.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::entry::StoredEntry;
use super::key::EntryId;
use crate::clock::{Clock, Timestamp};

/// How long an entry stays here at most.
pub(super) const MEMORY_LIFE: Duration = Duration::from_mins(5);
/// What an entry takes besides itself: its key, its place in the map, and in the lists that say what
/// was used last.
const OVERHEAD: usize = 300;

pub(super) struct Memory {
    entries: Cache<EntryId, Held>,
    clock: Clock,
}

#[derive(Clone)]
struct Held {
    stored: Arc<StoredEntry>,
    until: Timestamp,
}

impl Memory {
    /// A tier that holds `bytes` at most.
    pub(super) fn new(bytes: u64, clock: Clock) -> Self {
        let weigh = |_: &EntryId, held: &Held| {
            u32::try_from(held.stored.size() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            entries: Cache::builder()
                .max_capacity(bytes)
                .weigher(weigh)
                .time_to_live(MEMORY_LIFE)
                .build(),
            clock,
        }
    }

    pub(super) fn get(&self, id: &EntryId) -> Option<Arc<StoredEntry>> {
        let held = self.entries.get(id)?;
        (self.clock.now() < held.until).then_some(held.stored)
    }

    /// Holds an entry whose value is nobody else's memory.
    pub(super) fn put(&self, id: EntryId, stored: Arc<StoredEntry>) {
        let now = self.clock.now();
        let until = now.plus(MEMORY_LIFE).min(stored.entry.expires_at());
        if now < until {
            self.entries.insert(id, Held { stored, until });
        }
    }

    pub(super) fn remove(&self, id: &EntryId) {
        self.entries.invalidate(id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::cache::{CacheKey, CacheName, CacheOwner, Entry};

    fn id(number: u8) -> EntryId {
        let key = CacheKey {
            owner: CacheOwner::Shared,
            name: CacheName::of("query"),
            tags: vec![],
            digest: [number; 32],
        };
        key.id()
    }

    fn stored(clock: &Clock, fresh_for: Duration) -> Arc<StoredEntry> {
        Arc::new(StoredEntry {
            entry: Entry {
                value: "value".into(),
                stored_at: clock.now(),
                fresh_for,
                stale_for: Duration::ZERO,
            },
            generation: 0,
            labels: vec![],
        })
    }

    #[test]
    fn an_entry_stays_for_five_minutes_and_no_longer_than_it_is_of_use() {
        let shift = Arc::new(AtomicI64::new(0));
        let clock = Clock::shifted(Arc::clone(&shift));
        let memory = Memory::new(1_000_000, clock.clone());
        memory.put(id(1), stored(&clock, Duration::from_hours(1)));
        memory.put(id(2), stored(&clock, Duration::from_mins(1)));
        memory.put(id(3), stored(&clock, Duration::ZERO));
        let held = || [1, 2, 3].map(|number| memory.get(&id(number)).is_some());

        assert_eq!(held(), [true, true, false]);
        shift.store(60_000, Ordering::Relaxed);
        assert_eq!(held(), [true, false, false]);
        shift.store(300_000, Ordering::Relaxed);
        assert_eq!(held(), [false, false, false]);
    }
}
