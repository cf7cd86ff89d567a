//! What happens when nothing fresh is there: who computes, what the others get, and what is kept.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::entry::{Computed, Entry, MAX_VALUE, StoredEntry, Usable};
use super::flights::{Boarding, Flight, Landed, landed};
use super::key::{CacheKey, EntryId};
use super::lease::{Lease, Turn};
use super::lookup::{Found, Seen};
use super::statistics::{CacheTier, TierCounts};
use super::{CacheStatus, Cached, Inner, UNSHARED_FOR};
use crate::stores::cache::{MAX_ITEM, MAX_VALKEY};

/// How a computation is made: by a function of an older entry.
pub(super) trait Compute<Fut>:
    Fn(Option<Entry>) -> Fut + Clone + Send + Sync + 'static
{
}

impl<F, Fut> Compute<Fut> for F where F: Fn(Option<Entry>) -> Fut + Clone + Send + Sync + 'static {}

/// What is left to be done when an answer may go.
type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a computation came to, and whether it is kept.
struct Made {
    entry: Entry,
    kept: Option<Arc<StoredEntry>>,
}

impl Inner {
    /// Serves what is there, or computes it.
    pub(super) async fn serve<J, F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        judge: J,
        compute: F,
    ) -> Result<Cached, E>
    where
        J: Fn(&Entry) -> Usable + Clone + Send + Sync + 'static,
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        let seen = self.look(key, &judge).await;
        match seen.found.clone() {
            Some(found) if found.usable == Usable::Fresh => {
                self.count_lookup(&seen, Some(found.tier));
                self.bring_nearer(&seen, &found).await;
                Ok(self.cached(&found.stored.entry, CacheStatus::Hit, Some(found.tier)))
            }
            Some(found) if found.usable == Usable::Stale => {
                self.count_lookup(&seen, Some(found.tier));
                let answer = self.cached(&found.stored.entry, CacheStatus::Stale, Some(found.tier));
                self.compute_afterwards(key, seen, judge, compute).await;
                Ok(answer)
            }
            _ => Box::pin(self.compute_once(key, &seen, judge, compute)).await,
        }
    }

    pub(super) async fn bypass<F, Fut, E>(&self, compute: F) -> Result<Cached, E>
    where
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
    {
        let entry = self.entry_of(Box::pin(compute(None)).await?);
        Ok(self.cached(&entry, CacheStatus::Bypass, None))
    }

    pub(super) async fn refresh<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        compute: F,
    ) -> Result<Cached, E>
    where
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
    {
        let seen = self.look_at_generations(key).await;
        let made = self.made(key, &seen, Box::pin(compute(None)).await?);
        let rest = self.keep(&seen, made.kept.as_ref(), None);
        self.afterwards.begin(rest).await;
        Ok(self.cached(&made.entry, CacheStatus::Refresh, None))
    }

    /// Computes what is not there: one caller does, and the others get what it brings.
    async fn compute_once<J, F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seen: &Seen,
        judge: J,
        compute: F,
    ) -> Result<Cached, E>
    where
        J: Fn(&Entry) -> Usable + Clone + Send + Sync + 'static,
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        if seen.generations.is_none() || self.is_unshared(&seen.id) {
            return self.compute_alone(key, seen, compute).await;
        }
        let is_good =
            |stored: &StoredEntry| seen.admits(stored) && judge(&stored.entry) != Usable::No;
        loop {
            let flight = match self.flights.board(seen.id) {
                Boarding::Lead(flight) => flight,
                Boarding::Follow(waiting) => match landed::<E>(waiting).await {
                    // What was computed before an invalidation that this caller comes after is not
                    // for this caller.
                    Some(Landed::Stored(stored)) if is_good(&stored) => {
                        return Ok(self.shared(seen, &stored, CacheTier::Memory));
                    }
                    Some(Landed::Failed(error)) => {
                        self.count_lookup(seen, None);
                        return Err(error);
                    }
                    Some(Landed::Unshared) => {
                        return self.compute_alone(key, seen, compute).await;
                    }
                    Some(Landed::Stored(_)) | None => continue,
                },
            };
            // Another may have landed since the lookup.
            if let Some(stored) = self.memory.get(&seen.id).filter(|stored| is_good(stored)) {
                flight.land(Landed::<E>::Stored(Arc::clone(&stored)));
                return Ok(self.shared(seen, &stored, CacheTier::Memory));
            }
            return Box::pin(self.lead(key, seen, &judge, compute, flight)).await;
        }
    }

    /// Computes for all who wait in this process, when it is this process's turn.
    async fn lead<J, F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seen: &Seen,
        judge: &J,
        compute: F,
        flight: Flight,
    ) -> Result<Cached, E>
    where
        J: Fn(&Entry) -> Usable + Sync,
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        let lease = match self.turn(seen, judge).await {
            Turn::Ours(lease) => Some(lease),
            Turn::Without => None,
            Turn::Unshared => {
                flight.land(Landed::<E>::Unshared);
                return self.compute_alone(key, seen, compute).await;
            }
            Turn::Found(stored, tier) => {
                self.memory.put(seen.id, Arc::clone(&stored));
                flight.land(Landed::<E>::Stored(Arc::clone(&stored)));
                return Ok(self.shared(seen, &stored, tier));
            }
        };
        self.count_lookup(seen, None);
        let computed = self.compute_and_keep(key, seen, compute, lease, flight);
        let (computed, rest) = computed.await;
        self.afterwards.begin(rest).await;
        Ok(self.cached(&computed?, CacheStatus::Miss, None))
    }

    async fn compute_and_keep<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seen: &Seen,
        compute: F,
        lease: Option<Lease>,
        flight: Flight,
    ) -> (Result<Entry, E>, Rest)
    where
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        // Whatever it is made of, it lies in none of the futures around it.
        let computing = Box::pin(compute(seen.older()));
        let computed = match &lease {
            Some(lease) => lease.hold_during(computing).await,
            None => computing.await,
        };
        match computed {
            Ok(computed) => {
                let made = self.made(key, seen, computed);
                let rest = self.keep(seen, made.kept.as_ref(), lease);
                flight.land(match made.kept {
                    Some(stored) => Landed::<E>::Stored(stored),
                    None => Landed::Unshared,
                });
                (Ok(made.entry), rest)
            }
            Err(error) => {
                flight.land(Landed::Failed(error.clone()));
                (Err(error), given_back(lease, Lease::give_back))
            }
        }
    }

    /// Computes what nobody is to wait for; it is kept if it may be after all.
    async fn compute_alone<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seen: &Seen,
        compute: F,
    ) -> Result<Cached, E>
    where
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
    {
        self.count_lookup(seen, None);
        let made = self.made(key, seen, Box::pin(compute(seen.older())).await?);
        let rest = self.keep(seen, made.kept.as_ref(), None);
        self.afterwards.begin(rest).await;
        Ok(self.cached(&made.entry, CacheStatus::Miss, None))
    }

    /// Computes a stale entry anew after the answer, unless somebody does.
    async fn compute_afterwards<J, F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seen: Seen,
        judge: J,
        compute: F,
    ) where
        J: Fn(&Entry) -> Usable + Clone + Send + Sync + 'static,
        F: Compute<Fut>,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        let Boarding::Lead(flight) = self.flights.board(seen.id) else {
            return;
        };
        let (inner, key) = (Arc::clone(self), key.clone());
        let computing = async move {
            let (_, lease, entry) = inner.claim(&seen).await;
            let is_fresh = |stored: &Arc<StoredEntry>| {
                seen.admits(stored) && judge(&stored.entry) == Usable::Fresh
            };
            if let Some((stored, _)) = entry.filter(|(stored, _)| is_fresh(stored)) {
                inner.memory.put(seen.id, stored);
            } else if lease.is_some() {
                let computed = inner.compute_and_keep(&key, &seen, compute, lease, flight);
                let (computed, rest) = computed.await;
                if computed.is_err() {
                    tracing::info!("a stale entry could not be computed anew");
                }
                rest.await;
            }
        };
        self.afterwards.begin(computing).await;
    }

    fn entry_of(&self, computed: Computed) -> Entry {
        Entry {
            value: computed.value,
            stored_at: self.clock.now(),
            fresh_for: computed.fresh_for,
            stale_for: computed.stale_for,
        }
    }

    fn made(&self, key: &CacheKey, seen: &Seen, computed: Computed) -> Made {
        let is_stored = computed.is_stored;
        let entry = self.entry_of(computed);
        let is_too_large = entry.value.len() > MAX_VALUE;
        if is_stored && is_too_large {
            self.reject(seen.owner, CacheTier::Memory, &"it is too large");
        }
        let is_kept = is_stored && !is_too_large && entry.expires_at() > entry.stored_at;
        let generations = seen.generations.as_ref().filter(|_| is_kept);
        let stored = |generation| StoredEntry {
            entry: Entry {
                // What it is a part of is not to be held with it.
                value: Bytes::copy_from_slice(&entry.value),
                ..entry.clone()
            },
            generation,
            labels: key.labels(),
        };
        Made {
            kept: generations.map(|generations| Arc::new(stored(generations.number()))),
            entry,
        }
    }

    /// Puts an entry into memory; the rest puts it into the stores. Where there is none, nobody need
    /// wait for the next one.
    fn keep(
        self: &Arc<Self>,
        seen: &Seen,
        stored: Option<&Arc<StoredEntry>>,
        lease: Option<Lease>,
    ) -> Rest {
        let Some(stored) = stored else {
            // Without generations nothing can be kept, which says nothing of the value.
            if seen.generations.is_some() {
                self.unshared.insert(seen.id, self.clock.now());
            }
            return given_back(lease, Lease::give_back_unshared);
        };
        self.unshared.invalidate(&seen.id);
        self.memory.put(seen.id, Arc::clone(stored));
        self.count_fill(seen, CacheTier::Memory, stored.size() as u64);
        let (inner, seen, stored) = (Arc::clone(self), seen.who(), Arc::clone(stored));
        Box::pin(async move { inner.fill_stores(&seen, &stored, lease).await })
    }

    async fn fill_stores(&self, seen: &Seen, stored: &StoredEntry, lease: Option<Lease>) {
        let Some(bytes) = stored.encode(&seen.id) else {
            return;
        };
        let holder = lease.as_ref().and_then(Lease::holder_in_valkey);
        let in_valkey = self.fill_valkey(seen, stored, bytes.clone(), holder);
        let in_table = self.fill_table(seen, stored, bytes);
        let (in_valkey, in_table) = tokio::join!(in_valkey, in_table);
        if let Some(lease) = lease {
            if in_valkey || in_table {
                lease.give_back().await;
            } else {
                lease.give_back_unshared().await;
            }
        }
        self.statistics.settle().await;
    }

    /// Whether it is there now.
    async fn fill_valkey(
        &self,
        seen: &Seen,
        stored: &StoredEntry,
        bytes: Vec<u8>,
        holder: Option<&str>,
    ) -> bool {
        let tier = CacheTier::Valkey;
        let Some(valkey) = &self.valkey else {
            return false;
        };
        let Some(life) = self.life_in(tier, stored, bytes.len(), seen) else {
            return false;
        };
        let size = bytes.len() as u64;
        match valkey
            .put(seen.owner, &seen.id, holder, (bytes, life))
            .await
        {
            Ok(()) => {
                self.count_fill(seen, tier, size);
                true
            }
            Err(error) => {
                self.skip(seen.owner, tier, &error);
                false
            }
        }
    }

    async fn fill_table(&self, seen: &Seen, stored: &StoredEntry, bytes: Vec<u8>) -> bool {
        let tier = CacheTier::DynamoDb;
        let Some(life) = self.life_in(tier, stored, bytes.len(), seen) else {
            return false;
        };
        let (size, until) = (bytes.len() as u64, self.clock.now().plus(life));
        match self.table.put_entry(&seen.id, bytes, until).await {
            Ok(()) => {
                self.count_fill(seen, tier, size);
                true
            }
            Err(error) => {
                self.skip(seen.owner, tier, &error);
                false
            }
        }
    }

    /// How long an entry of so many bytes is to live in a store; `None` if it is not for it.
    fn life_in(
        &self,
        tier: CacheTier,
        stored: &StoredEntry,
        size: usize,
        seen: &Seen,
    ) -> Option<Duration> {
        let largest = match tier {
            CacheTier::Memory => MAX_VALUE,
            CacheTier::Valkey => MAX_VALKEY,
            CacheTier::DynamoDb => MAX_ITEM,
        };
        if size > largest {
            self.reject(seen.owner, tier, &"it is too large");
            return None;
        }
        let rest = stored.entry.expires_at().since(self.clock.now());
        (rest > Duration::ZERO).then_some(rest.min(tier.life()))
    }

    /// Puts what was found far away into the tiers before it.
    pub(super) async fn bring_nearer(self: &Arc<Self>, seen: &Seen, found: &Found) {
        if found.tier == CacheTier::Memory {
            return;
        }
        self.memory.put(seen.id, Arc::clone(&found.stored));
        self.count_fill(seen, CacheTier::Memory, found.stored.size() as u64);
        if found.tier == CacheTier::DynamoDb && self.valkey.is_some() {
            let (inner, seen, stored) = (Arc::clone(self), seen.who(), Arc::clone(&found.stored));
            let filling = async move {
                if let Some(bytes) = stored.encode(&seen.id) {
                    inner.fill_valkey(&seen, &stored, bytes, None).await;
                }
            };
            self.afterwards.begin(filling).await;
        }
    }

    fn count_fill(&self, seen: &Seen, tier: CacheTier, bytes: u64) {
        let counts = TierCounts {
            fills: 1,
            bytes,
            ..TierCounts::default()
        };
        self.count(seen.owner, tier, &counts);
    }

    fn is_unshared(&self, id: &EntryId) -> bool {
        let since = self.unshared.get(id);
        since.is_some_and(|since| self.clock.now() < since.plus(UNSHARED_FOR))
    }

    /// What another caller has brought, in this process or in another.
    fn shared(&self, seen: &Seen, stored: &StoredEntry, tier: CacheTier) -> Cached {
        self.count_lookup(seen, Some(tier));
        self.cached(&stored.entry, CacheStatus::Hit, Some(tier))
    }

    pub(super) fn cached(
        &self,
        entry: &Entry,
        status: CacheStatus,
        tier: Option<CacheTier>,
    ) -> Cached {
        Cached {
            value: entry.value.clone(),
            status,
            tier,
            age: self.clock.now().since(entry.stored_at),
            entry: entry.clone(),
        }
    }
}

/// A lease is given back, if there is one.
fn given_back<G>(lease: Option<Lease>, give_back: fn(Lease) -> G) -> Rest
where
    G: Future<Output = ()> + Send + 'static,
{
    Box::pin(async move {
        if let Some(lease) = lease {
            give_back(lease).await;
        }
    })
}
