//! `/api/v1/cache`: what users see of their own entries, and end.

mod clear;
mod invalidate;
mod stats;

use turnpike_shared::afterwards::Afterwards;
use turnpike_shared::cache::{
    Cache, CacheKey, CacheName, CacheOwner, CacheParts, CacheSettings, CacheTag, CacheTier,
    Computed, Entry, Mode,
};
use turnpike_shared::clock::Clock;

use crate::support::{Account, TestStack, dynamodb_at};

/// An instance of the cache on a stack's tables, such as a function has one.
pub(crate) struct CacheOf {
    cache: Cache,
    afterwards: Afterwards,
}

impl CacheOf {
    pub(crate) async fn the(stack: &TestStack) -> Self {
        let dynamodb = dynamodb_at(stack.engine_endpoint().await);
        let afterwards = Afterwards::default();
        let cache = Cache::new(CacheParts {
            quick: dynamodb.clone(),
            dynamodb,
            table: "CacheTable".to_owned(),
            valkey: None,
            clock: Clock::system(),
            afterwards: afterwards.clone(),
            settings: CacheSettings::default(),
        });
        Self { cache, afterwards }
    }

    /// The tier that had the entry of `owner` under `name`; `None` if it was computed.
    pub(crate) async fn tier_of(&self, owner: CacheOwner, name: &str) -> Option<CacheTier> {
        let key = CacheKey {
            owner,
            name: CacheName::of(name),
            tags: vec![CacheTag::of_upstream("library")],
            digest: [1; 32],
        };
        let compute = |_: Option<Entry>| async {
            Ok::<_, std::convert::Infallible>(Computed {
                value: "value".into(),
                fresh_for: std::time::Duration::from_mins(5),
                stale_for: std::time::Duration::ZERO,
                is_stored: true,
            })
        };
        let got = self
            .cache
            .get_or_compute(&key, Mode::Default, compute)
            .await;
        self.afterwards.done().await;
        got.unwrap().tier
    }

    pub(crate) async fn flush(&self) {
        self.cache.flush().await;
    }
}

pub(crate) fn owner_of(account: &Account) -> CacheOwner {
    CacheOwner::User(account.id.parse().unwrap())
}
