//! The cache: answers that were computed once, kept in three tiers, near and far.
//!
//! It owns what an entry is, when it may be served, who computes it and what ends it. It knows neither
//! what a value means nor where it comes from: whoever computes encodes, and is told of an older entry
//! that may be validated instead of computed anew. What may be cached at all, for whom and for how long
//! is decided by the callers and the policy.
//!
//! No tier is needed. One that is away, slower than its budget or full of what cannot be read is skipped
//! and counted, and the next is asked; without any, everything is computed. Nothing is ever served
//! without the owner's generations ([`generations`]): they are asked for with every lookup, so that an
//! invalidation holds everywhere on the next request. While no store can tell them, those of the last 30
//! seconds are taken; without these there is no cache.
//!
//! What is written to the stores is written after the answer ([`Afterwards`]).

mod compute;
mod entry;
mod find;
mod flights;
mod generations;
mod key;
mod lease;
mod lookup;
mod memory;
mod recorder;
mod statistics;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::flights::Flights;
use self::memory::Memory;
use self::recorder::Recorder;
use crate::admission::{Admission, AdmissionParts};
use crate::afterwards::Afterwards;
use crate::audit::AuditEntry;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, ConfigError, Environment};
use crate::errors::chain;
use crate::stores::cache::{CacheTable, ValkeyCache};
use crate::stores::{DynamoDb, LinkState, StoreError, UserStore, ValkeyLink};

pub use entry::{Computed, Entry, Usable};
pub(crate) use generations::Generations;
pub use generations::Invalidation;
pub(crate) use key::EntryId;
pub use key::{CacheKey, CacheName, CacheOwner, CacheTag, InvalidTag};
pub use statistics::{CacheStatistics, CacheTier, TierCounts, TierStatistics};
pub(crate) use statistics::{SHOWN, Slice, Tally};

/// How long generations that a store has told are taken while no store answers.
const CONFIRMED_FOR: Duration = Duration::from_secs(30);
/// Of how many owners they are remembered.
const MAX_CONFIRMED: u64 = 10_000;
/// How long generations lie until DynamoDB may remove them: longer than they are remembered.
const GENERATIONS_LIE: Duration = Duration::from_hours(48);
/// How long nobody waits for who computes something that was nobody else's to have.
const UNSHARED_FOR: Duration = Duration::from_mins(1);
/// Of how many keys that is known in a process.
const MAX_UNSHARED: u64 = 10_000;

/// How a caller wants the cache to be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// What is there is served.
    #[default]
    Default,
    /// Nothing is looked up and nothing kept.
    Bypass,
    /// Nothing is looked up; what is computed takes the place of what was there.
    Refresh,
}

/// How an answer came about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheStatus {
    /// A tier had it, or somebody who asked at the same time brought it.
    Hit,
    /// A tier had it; it is computed anew after the answer.
    Stale,
    Miss,
    Bypass,
    Refresh,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Cached {
    pub value: Bytes,
    pub status: CacheStatus,
    /// The tier that had it.
    pub tier: Option<CacheTier>,
    /// How long ago it was computed.
    pub age: Duration,
    /// The answer with its times.
    pub entry: Entry,
}

/// What bounds the cache of one process.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// What the memory tier holds at most.
    pub memory_bytes: u64,
    /// How long a lease lives without its holder, who renews it three times in that.
    pub lease_life: Duration,
    /// How long somebody waits for who computes the same in another process.
    pub wait: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory_bytes: MAX_MEMORY,
            lease_life: Duration::from_secs(5),
            wait: Duration::from_secs(10),
        }
    }
}

/// What the memory tier holds where there is plenty.
const MAX_MEMORY: u64 = 100_000_000;
/// The part of a function's memory that the tier may hold.
const PART_OF_MEMORY: u64 = 8;

/// What the environment does not give, or a test gives otherwise.
pub struct CacheParts {
    pub dynamodb: DynamoDb,
    /// The client for what a request can do without.
    pub quick: DynamoDb,
    pub table: String,
    pub valkey: Option<ValkeyLink>,
    pub clock: Clock,
    pub afterwards: Afterwards,
    pub settings: CacheSettings,
}

/// The cache of one process. Cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    memory: Memory,
    valkey: Option<ValkeyCache>,
    table: CacheTable,
    flights: Flights,
    /// Generations that a store has told, and when.
    confirmed: moka::sync::Cache<CacheOwner, (Timestamp, Arc<Generations>)>,
    /// What was nobody else's to have when it was computed last, and when that was.
    unshared: moka::sync::Cache<EntryId, Timestamp>,
    statistics: Recorder,
    clock: Clock,
    afterwards: Afterwards,
    settings: CacheSettings,
}

impl Cache {
    /// The cache as the environment describes it, on admission's link to Valkey.
    pub fn from_environment(
        env: &Environment,
        parts: &AdmissionParts,
        admission: &Admission,
    ) -> Result<Self, ConfigError> {
        let function_bytes = config::function_memory(env)?;
        let memory_bytes = function_bytes.map_or(MAX_MEMORY, |all| all / PART_OF_MEMORY);
        Ok(Self::new(CacheParts {
            quick: parts.dynamodb.within(parts.budgets.dynamodb),
            dynamodb: parts.dynamodb.clone(),
            table: config::cache_table(env)?,
            valkey: admission.valkey_link(),
            clock: parts.clock.clone(),
            afterwards: parts.afterwards.clone(),
            settings: CacheSettings {
                memory_bytes: memory_bytes.min(MAX_MEMORY),
                ..CacheSettings::default()
            },
        }))
    }

    pub fn new(parts: CacheParts) -> Self {
        let CacheParts {
            dynamodb,
            quick,
            table,
            valkey,
            clock,
            afterwards,
            settings,
        } = parts;
        let table = CacheTable::new(&dynamodb, &quick, table);
        let statistics = Recorder::new(table.clone(), clock.clone(), afterwards.clone());
        Self(Arc::new(Inner {
            memory: Memory::new(settings.memory_bytes, clock.clone()),
            valkey: valkey.map(|link| ValkeyCache::new(link, clock.clone())),
            table,
            flights: Flights::default(),
            confirmed: moka::sync::Cache::builder()
                .max_capacity(MAX_CONFIRMED)
                .time_to_live(CONFIRMED_FOR)
                .build(),
            unshared: moka::sync::Cache::builder()
                .max_capacity(MAX_UNSHARED)
                .time_to_live(UNSHARED_FOR)
                .build(),
            statistics,
            clock,
            afterwards,
            settings,
        }))
    }

    /// Serves what the nearest tier has, else computes it: once at a time for a key, in this process
    /// and in all that share its stores. What is stale is served, and computed anew after the answer
    /// by one instance. `compute` is given an older entry if there is one.
    ///
    /// The futures of `compute` must own what they need, as one may outlive the request.
    pub async fn get_or_compute<F, Fut, E>(
        &self,
        key: &CacheKey,
        mode: Mode,
        compute: F,
    ) -> Result<Cached, E>
    where
        F: Fn(Option<Entry>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        let clock = self.0.clock.clone();
        match mode {
            Mode::Default => {
                let judge = move |entry: &Entry| entry.usable_at(clock.now());
                self.fetch(key, judge, compute).await
            }
            Mode::Bypass => self.0.bypass(compute).await,
            Mode::Refresh => self.0.refresh(key, compute).await,
        }
    }

    /// As [`Self::get_or_compute`], but `judge` says what an entry that is kept is good for.
    pub async fn fetch<J, F, Fut, E>(
        &self,
        key: &CacheKey,
        judge: J,
        compute: F,
    ) -> Result<Cached, E>
    where
        J: Fn(&Entry) -> Usable + Clone + Send + Sync + 'static,
        F: Fn(Option<Entry>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Computed, E>> + Send + 'static,
        E: Clone + Send + Sync + 'static,
    {
        let served = self.0.serve(key, judge, compute).await;
        self.0.statistics.settle_afterwards().await;
        served
    }

    /// Ends entries of an owner, at the same cost however many there are. It holds everywhere on the
    /// next lookup; while Valkey cannot be reached from here, on those that others make there within
    /// a minute.
    pub async fn invalidate(
        &self,
        owner: &CacheOwner,
        what: &Invalidation,
    ) -> Result<(), StoreError> {
        let what = what.clone().within(*owner);
        self.0.raise(&[(*owner, what)], None).await
    }

    /// As [`Self::invalidate`], of what admins may clear: shared entries, and all of a user by the
    /// tag of that user. The audit log's `entry` is written with it, or neither is.
    pub async fn clear(
        &self,
        what: &Invalidation,
        users: &UserStore,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        self.0.raise(&what.by_owner(), Some((users, entry))).await
    }

    /// What an owner's entries were asked for in the last 24 hours, over all instances.
    pub async fn stats(&self, owner: CacheOwner) -> Result<CacheStatistics, StoreError> {
        let now = self.0.clock.now();
        let (slices, generations) = tokio::try_join!(
            self.0.table.statistics(Some(owner), now),
            self.0.table.generations(owner),
        )?;
        let generations = generations.as_deref().map(Generations::decode);
        let generations = generations.map_or(Some(Generations::default()), |read| read);
        let everything = generations.map(|generations| generations.everything());
        Ok(self.0.sum(&slices, everything, now))
    }

    /// The same of all owners.
    pub async fn stats_of_all(&self) -> Result<CacheStatistics, StoreError> {
        let now = self.0.clock.now();
        let slices = self.0.table.statistics(None, now).await?;
        Ok(self.0.sum(&slices, None, now))
    }

    /// Writes what was counted and not written yet; for an orderly end.
    pub async fn flush(&self) {
        self.0.statistics.flush().await;
    }
}

impl Inner {
    fn sum(&self, slices: &[Slice], everything: Option<u64>, now: Timestamp) -> CacheStatistics {
        CacheStatistics::of(slices, everything, now, |tier| match tier {
            CacheTier::Valkey => self.is_valkey_up(),
            // These slices came from there.
            CacheTier::Memory | CacheTier::DynamoDb => true,
        })
    }

    fn is_valkey_up(&self) -> bool {
        let valkey = self.valkey.as_ref();
        valkey.is_some_and(|valkey| valkey.link().state() == LinkState::Up)
    }

    /// Invalidates, first where it is true, then in Valkey's copies.
    async fn raise(
        &self,
        changes: &[(CacheOwner, Invalidation)],
        audited: Option<(&UserStore, &AuditEntry)>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let owners: Vec<CacheOwner> = changes.iter().map(|(owner, _)| *owner).collect();
        let next = |owner: CacheOwner, read: Option<&[u8]>| {
            let none = Generations::default();
            // Of what cannot be read nobody knows what it ended: everything is ended.
            let read = read.map_or(Some(none), Generations::decode);
            let raised = match (read, changes.iter().find(|change| change.0 == owner)) {
                (Some(read), Some((_, what))) => read.raised(what, now),
                _ => Generations::default().raised(&Invalidation::everything(), now),
            };
            raised.encode()
        };
        let until = now.plus(GENERATIONS_LIE);
        let committed = self.table.change_generations(&owners, next, until, audited);
        committed.await?;
        for owner in owners {
            self.confirmed.invalidate(&owner);
            if let Some(valkey) = &self.valkey
                && let Err(error) = valkey.forget(owner).await
            {
                let cause = chain(&error);
                tracing::warn!(cause, "an invalidation holds in Valkey within a minute");
            }
        }
        Ok(())
    }
}
