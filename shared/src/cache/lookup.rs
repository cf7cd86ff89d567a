//! Lookups: from the nearest tier to the farthest, with the owner's generations on the way.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use super::entry::{Entry, StoredEntry, Usable};
use super::generations::{Generations, Invalidation};
use super::key::{CacheKey, CacheOwner, EntryId};
use super::statistics::{CacheTier, TierCounts};
use super::{CONFIRMED_FOR, Inner};
use crate::errors::chain;
use crate::stores::cache::Reading;

/// What a lookup came to.
pub(super) struct Seen {
    pub(super) owner: CacheOwner,
    pub(super) id: EntryId,
    /// Without them nothing is served, and nothing kept.
    pub(super) generations: Option<Arc<Generations>>,
    /// The best that there is: fresh rather than stale, stale rather than of no use.
    pub(super) found: Option<Found>,
    /// The tiers that were asked.
    asked: Vec<CacheTier>,
}

/// An entry that was not invalidated.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) stored: Arc<StoredEntry>,
    pub(super) tier: CacheTier,
    pub(super) usable: Usable,
}

impl Found {
    /// What it is worth, next to another of the same key.
    fn rank(&self) -> (u8, i64) {
        let usable = match self.usable {
            Usable::Fresh => 2,
            Usable::Stale => 1,
            Usable::No => 0,
        };
        (usable, self.stored.entry.stored_at.millis())
    }
}

impl Seen {
    /// Whether an entry was computed after everything that would have ended it.
    pub(super) fn admits(&self, stored: &StoredEntry) -> bool {
        let generations = self.generations.as_ref();
        generations.is_some_and(|now| now.admit(stored.generation, &stored.labels))
    }

    pub(super) fn is_fresh(&self) -> bool {
        let found = self.found.as_ref();
        found.is_some_and(|found| found.usable == Usable::Fresh)
    }

    /// Whose it is, for what is done after the answer.
    pub(super) fn who(&self) -> Self {
        Self {
            owner: self.owner,
            id: self.id,
            generations: self.generations.clone(),
            found: None,
            asked: vec![],
        }
    }

    /// An older entry, for whoever computes.
    pub(super) fn older(&self) -> Option<Entry> {
        self.found.as_ref().map(|found| found.stored.entry.clone())
    }

    fn consider(&mut self, stored: Arc<StoredEntry>, tier: CacheTier, usable: Usable) {
        if self.admits(&stored) {
            let found = Found {
                stored,
                tier,
                usable,
            };
            if self
                .found
                .as_ref()
                .is_none_or(|best| best.rank() < found.rank())
            {
                self.found = Some(found);
            }
        }
    }
}

impl Inner {
    /// Looks a key up: in memory with one question for the owner's generations, which comes along
    /// with the entry from a store.
    pub(super) async fn look(
        self: &Arc<Self>,
        key: &CacheKey,
        judge: &(impl Fn(&Entry) -> Usable + Sync),
    ) -> Seen {
        let mut seen = Seen {
            owner: key.owner,
            id: key.id(),
            generations: None,
            found: None,
            asked: vec![CacheTier::Memory],
        };
        let in_memory = self.memory.get(&seen.id);
        let in_memory = in_memory.map(|stored| (judge(&stored.entry), stored));
        if let Some((Usable::Fresh, stored)) = &in_memory {
            let from_valkey = self.ask_valkey(&mut seen, Wanted::Generations).await;
            self.ask_table(&mut seen, Wanted::Generations, from_valkey.ticket)
                .await;
            seen.consider(Arc::clone(stored), CacheTier::Memory, Usable::Fresh);
            if seen.is_fresh() || seen.generations.is_none() {
                return seen;
            }
            self.memory.remove(&seen.id);
        }
        self.look_in_stores(&mut seen, judge).await;
        if let Some((usable, stored)) = in_memory {
            seen.consider(stored, CacheTier::Memory, usable);
        }
        seen
    }

    /// Asks for an owner's generations alone, for who is going to compute whatever is there.
    pub(super) async fn look_at_generations(self: &Arc<Self>, key: &CacheKey) -> Seen {
        let mut seen = Seen {
            owner: key.owner,
            id: key.id(),
            generations: None,
            found: None,
            asked: vec![],
        };
        let from_valkey = self.ask_valkey(&mut seen, Wanted::Generations).await;
        self.ask_table(&mut seen, Wanted::Generations, from_valkey.ticket)
            .await;
        seen
    }

    async fn look_in_stores(
        self: &Arc<Self>,
        seen: &mut Seen,
        judge: &(impl Fn(&Entry) -> Usable + Sync),
    ) {
        seen.generations = None;
        let from_valkey = self.ask_valkey(seen, Wanted::Entry).await;
        let in_valkey = from_valkey
            .entry
            .map(|stored| (judge(&stored.entry), stored));
        let wanted = match &in_valkey {
            Some((Usable::Fresh, _)) => Wanted::Generations,
            _ => Wanted::Entry,
        };
        let in_table = self.ask_table(seen, wanted, from_valkey.ticket).await;
        if let Some((usable, stored)) = in_valkey {
            seen.consider(stored, CacheTier::Valkey, usable);
        }
        if let Some(stored) = in_table {
            let usable = judge(&stored.entry);
            seen.consider(stored, CacheTier::DynamoDb, usable);
        }
    }

    async fn ask_valkey(self: &Arc<Self>, seen: &mut Seen, wanted: Wanted) -> FromValkey {
        let Some(valkey) = &self.valkey else {
            return FromValkey::default();
        };
        let wants_entry = wanted == Wanted::Entry;
        let looked = match valkey.look(seen.owner, &seen.id, wants_entry).await {
            Ok(looked) => looked,
            Err(error) => {
                self.skip(seen.owner, CacheTier::Valkey, &error);
                return FromValkey::default();
            }
        };
        if wants_entry {
            seen.asked.push(CacheTier::Valkey);
        }
        let ticket = match looked.generations {
            Err(ticket) => Some(ticket),
            Ok(bytes) => {
                let read = self.read_generations(seen.owner, &bytes, CacheTier::Valkey);
                match read {
                    Some(generations) => {
                        seen.generations = Some(self.confirm(seen.owner, generations));
                    }
                    None => self.forget_copies(seen.owner).await,
                }
                None
            }
        };
        let entry = looked.entry;
        let read = |bytes: Vec<u8>| self.read(seen.owner, &seen.id, &bytes, CacheTier::Valkey);
        FromValkey {
            ticket,
            entry: entry.and_then(read),
        }
    }

    /// Asks the table for the entry, if it is wanted, and for the generations, if nobody has told
    /// them yet: side by side.
    async fn ask_table(
        self: &Arc<Self>,
        seen: &mut Seen,
        wanted: Wanted,
        ticket: Option<String>,
    ) -> Option<Arc<StoredEntry>> {
        let (owner, id) = (seen.owner, seen.id);
        let now = self.clock.now();
        let generations = async {
            match &seen.generations {
                Some(known) => Some(Arc::clone(known)),
                None => self.true_generations(owner, &id, ticket).await,
            }
        };
        let entry = async {
            match wanted {
                Wanted::Generations => None,
                Wanted::Entry => Some(self.table.entry(&id, now, Reading::Eventual).await),
            }
        };
        let (generations, entry) = tokio::join!(generations, entry);
        seen.generations = generations;
        match entry? {
            Ok(bytes) => {
                seen.asked.push(CacheTier::DynamoDb);
                self.read(owner, &id, &bytes?, CacheTier::DynamoDb)
            }
            Err(error) => {
                self.skip(owner, CacheTier::DynamoDb, &error);
                None
            }
        }
    }

    /// The owner's generations from where they are true; while that is away, what was confirmed a
    /// moment ago.
    async fn true_generations(
        self: &Arc<Self>,
        owner: CacheOwner,
        id: &EntryId,
        ticket: Option<String>,
    ) -> Option<Arc<Generations>> {
        let bytes = match self.table.generations(owner).await {
            Ok(bytes) => bytes,
            Err(error) => {
                self.skip(owner, CacheTier::DynamoDb, &error);
                return self.confirmed_lately(owner);
            }
        };
        let read = |bytes: Vec<u8>| self.read_generations(owner, &bytes, CacheTier::DynamoDb);
        let generations = bytes.map_or(Some(Generations::default()), read);
        let Some(generations) = generations else {
            self.mend_generations(owner).await;
            return None;
        };
        if let (Some(valkey), Some(ticket)) = (self.valkey.clone(), ticket) {
            let (id, bytes) = (*id, generations.encode());
            // Without a copy the next lookup asks once more.
            let install = async move {
                let _ = valkey.install(owner, &id, ticket, bytes).await;
            };
            self.afterwards.begin(install).await;
        }
        Some(self.confirm(owner, generations))
    }

    fn read_generations(
        &self,
        owner: CacheOwner,
        bytes: &[u8],
        tier: CacheTier,
    ) -> Option<Generations> {
        let read = Generations::decode(bytes);
        if read.is_none() {
            self.reject(owner, tier, &"generations in another form");
        }
        read
    }

    /// Nobody knows what they had ended, so everything is.
    async fn mend_generations(self: &Arc<Self>, owner: CacheOwner) {
        let inner = Arc::clone(self);
        let everything = async move {
            let what = [(owner, Invalidation::everything())];
            if let Err(error) = inner.raise(&what, None).await {
                let cause = chain(&error);
                tracing::warn!(cause, "the generations of a cache cannot be mended");
            }
        };
        self.afterwards.begin(everything).await;
    }

    async fn forget_copies(self: &Arc<Self>, owner: CacheOwner) {
        if let Some(valkey) = self.valkey.clone() {
            let forget = async move {
                // It is tried again by the next who meets it.
                let _ = valkey.forget(owner).await;
            };
            self.afterwards.begin(forget).await;
        }
    }

    fn confirm(&self, owner: CacheOwner, generations: Generations) -> Arc<Generations> {
        let generations = Arc::new(generations);
        let confirmed = (self.clock.now(), Arc::clone(&generations));
        self.confirmed.insert(owner, confirmed);
        generations
    }

    fn confirmed_lately(&self, owner: CacheOwner) -> Option<Arc<Generations>> {
        let (at, generations) = self.confirmed.get(&owner)?;
        let is_lately = self.clock.now() < at.plus(CONFIRMED_FOR);
        is_lately.then_some(generations)
    }

    /// The entry that bytes are; what they are not is counted, and in the end overwritten.
    pub(super) fn read(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        bytes: &[u8],
        tier: CacheTier,
    ) -> Option<Arc<StoredEntry>> {
        match StoredEntry::decode(bytes, id, self.clock.now()) {
            Ok(stored) => Some(Arc::new(stored)),
            Err(why) => {
                self.reject(owner, tier, &why);
                None
            }
        }
    }

    /// Counts a lookup, and what each tier that was asked had to do with it.
    pub(super) fn count_lookup(&self, seen: &Seen, served: Option<CacheTier>) {
        for tier in CacheTier::ALL {
            let is_served = served == Some(tier);
            let was_asked = is_served || seen.asked.contains(&tier);
            let counts = TierCounts {
                hits: u64::from(is_served),
                misses: u64::from(was_asked && !is_served),
                ..TierCounts::default()
            };
            if was_asked {
                self.count(seen.owner, tier, &counts);
            }
        }
    }

    pub(super) fn skip(&self, owner: CacheOwner, tier: CacheTier, why: &(impl Error + 'static)) {
        tracing::debug!(
            tier = tier.as_str(),
            cause = chain(why),
            "a tier is skipped"
        );
        let counts = TierCounts {
            skipped: 1,
            ..TierCounts::default()
        };
        self.count(owner, tier, &counts);
    }

    pub(super) fn reject(&self, owner: CacheOwner, tier: CacheTier, why: &dyn Display) {
        tracing::warn!(tier = tier.as_str(), cause = %why, "an entry is not taken");
        let counts = TierCounts {
            rejected: 1,
            ..TierCounts::default()
        };
        self.count(owner, tier, &counts);
    }

    pub(super) fn count(&self, owner: CacheOwner, tier: CacheTier, counts: &TierCounts) {
        let generations = self.confirmed.get(&owner);
        let everything = generations.map_or(0, |(_, generations)| generations.everything());
        self.statistics.count(owner, everything, tier, counts);
    }
}

/// What a store is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Generations,
    /// And the generations with it.
    Entry,
}

#[derive(Default)]
struct FromValkey {
    /// Under which the generations are to be installed.
    ticket: Option<String>,
    entry: Option<Arc<StoredEntry>>,
}
