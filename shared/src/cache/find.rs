//! Lookups that compute nothing: what is there, or nothing.

use super::entry::{Entry, Usable};
use super::key::CacheKey;
use super::lookup::Found;
use super::{Cache, CacheStatus, Cached};

impl Cache {
    /// What is kept under `key`, if `judge` finds it good for anything. What is stale is left to
    /// whoever asks with [`Cache::fetch`].
    pub async fn find<J>(&self, key: &CacheKey, judge: J) -> Option<Cached>
    where
        J: Fn(&Entry) -> Usable + Clone + Send + Sync + 'static,
    {
        let seen = self.0.look(key, &judge).await;
        let is_good = |found: &Found| found.usable != Usable::No;
        let found = seen.found.clone().filter(is_good);
        self.0
            .count_lookup(&seen, found.as_ref().map(|found| found.tier));
        self.0.statistics.settle_afterwards().await;
        let found = found?;
        let status = match found.usable {
            Usable::Fresh => CacheStatus::Hit,
            Usable::Stale | Usable::No => CacheStatus::Stale,
        };
        self.0.bring_nearer(&seen, &found).await;
        Some(self.0.cached(&found.stored.entry, status, Some(found.tier)))
    }
}
