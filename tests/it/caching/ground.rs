//! What the tests of the cache stand on: stores that are real, and instances that share them as
//! processes would.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use turnpike_shared::afterwards::Afterwards;
use turnpike_shared::cache::{
    Cache, CacheKey, CacheName, CacheOwner, CacheParts, CacheSettings, CacheTag, Cached, Computed,
    Entry, Mode,
};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{LinkState, ValkeyAddress, ValkeyLink};

use crate::support::{OwnEngine, RedisServer, dynamodb_at, until};

/// Generous: what is tested here is what is served, and the machine has other work.
pub(super) const PATIENT: Duration = Duration::from_secs(10);
pub(super) const TABLE: &str = "CacheTable";

/// The stores, and the time.
pub(super) struct Ground {
    pub(super) engine: OwnEngine,
    pub(super) redis: Option<RedisServer>,
    shift: Arc<AtomicI64>,
}

/// One process' cache.
pub(super) struct Instance {
    pub(super) cache: Cache,
    pub(super) afterwards: Afterwards,
    pub(super) link: Option<ValkeyLink>,
}

/// How an instance is made.
#[derive(Clone)]
pub(super) struct Making {
    pub(super) dynamodb: String,
    pub(super) valkey: Option<ValkeyAddress>,
    pub(super) budget: Duration,
    pub(super) settings: CacheSettings,
}

impl Ground {
    /// Without Valkey.
    pub(super) async fn plain() -> Self {
        let engine = OwnEngine::start().await;
        engine.create_table(TABLE).await;
        Self {
            engine,
            redis: None,
            shift: Arc::default(),
        }
    }

    pub(super) async fn with_valkey() -> Self {
        Self {
            redis: Some(RedisServer::start().await),
            ..Self::plain().await
        }
    }

    /// Both kinds of ground: what holds on one holds on the other.
    pub(super) async fn both() -> [Self; 2] {
        [Self::plain().await, Self::with_valkey().await]
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::shifted(Arc::clone(&self.shift))
    }

    pub(super) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.shift.fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn making(&self) -> Making {
        Making {
            dynamodb: self.engine.endpoint(),
            valkey: self.redis.as_ref().map(RedisServer::address),
            budget: PATIENT,
            settings: CacheSettings::default(),
        }
    }

    /// An instance that reaches every store.
    pub(super) async fn instance(&self) -> Instance {
        let instance = self.instance_as(self.making()).await;
        if instance.link.is_some() {
            instance.linked().await;
        }
        instance
    }

    pub(super) async fn instance_as(&self, making: Making) -> Instance {
        let Making {
            dynamodb,
            valkey,
            budget,
            settings,
        } = making;
        let link = valkey.map(|address| ValkeyLink::new(address, self.clock(), budget));
        if let Some(link) = &link {
            link.connect().await;
        }
        let dynamodb = dynamodb_at(&dynamodb);
        let afterwards = Afterwards::default();
        let cache = Cache::new(CacheParts {
            quick: dynamodb.within(budget),
            dynamodb,
            table: TABLE.to_owned(),
            valkey: link.clone(),
            clock: self.clock(),
            afterwards: afterwards.clone(),
            settings,
        });
        Instance {
            cache,
            afterwards,
            link,
        }
    }
}

impl Instance {
    /// Asks for a key whose value is computed by `work`, and waits for what is done afterwards.
    pub(super) async fn get(&self, key: &CacheKey, work: &Work) -> Cached {
        let cached = self.get_now(key, Mode::Default, work).await;
        self.afterwards.done().await;
        cached
    }

    /// As [`Self::get`], without waiting.
    pub(super) async fn get_now(&self, key: &CacheKey, mode: Mode, work: &Work) -> Cached {
        let got = self.cache.get_or_compute(key, mode, work.compute()).await;
        got.expect("this work does not fail")
    }

    /// Returns when the link to Valkey is there.
    pub(super) async fn linked(&self) {
        let link = self.link.as_ref().expect("there is a Valkey");
        until(async || {
            link.connect().await;
            match link.state() {
                LinkState::Up => Ok(()),
                LinkState::Down { .. } => Err("the link stays down".to_owned()),
            }
        })
        .await;
    }
}

type Computing = Pin<Box<dyn Future<Output = Result<Computed, &'static str>> + Send>>;

/// Something to compute, and how often it was.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) value: Vec<u8>,
    pub(super) fresh_for: Duration,
    pub(super) stale_for: Duration,
    pub(super) is_stored: bool,
    /// Until this is not held, nothing is computed.
    pub(super) gate: Arc<tokio::sync::RwLock<()>>,
    pub(super) calls: Arc<AtomicUsize>,
}

impl Work {
    pub(super) fn new(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: value.into(),
            fresh_for: Duration::from_mins(5),
            stale_for: Duration::ZERO,
            is_stored: true,
            gate: Arc::default(),
            calls: Arc::default(),
        }
    }

    /// How often it was begun.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns when it was begun so often.
    pub(super) async fn begun(&self, times: usize) {
        until(async || match self.calls() {
            calls if calls >= times => Ok(()),
            calls => Err(format!("it was begun {calls} times")),
        })
        .await;
    }

    pub(super) fn compute(
        &self,
    ) -> impl Fn(Option<Entry>) -> Computing + Clone + Send + Sync + 'static {
        let work = self.clone();
        move |_| {
            let work = work.clone();
            Box::pin(async move {
                work.calls.fetch_add(1, Ordering::SeqCst);
                let _open = work.gate.read().await;
                Ok(Computed {
                    value: work.value.into(),
                    fresh_for: work.fresh_for,
                    stale_for: work.stale_for,
                    is_stored: work.is_stored,
                })
            })
        }
    }
}

pub(super) fn user(number: i64) -> CacheOwner {
    // The ids of one number are the same within a test and differ between numbers.
    CacheOwner::User(id_of(number))
}

fn id_of(number: i64) -> UserId {
    let id = format!("usr_{number:012x}70008000000000000000");
    id.parse()
        .unwrap_or_else(|_| UserId::new(Timestamp::from_millis(number)))
}

/// A key that differs by `number` alone.
pub(super) fn key(owner: CacheOwner, number: u8) -> CacheKey {
    CacheKey {
        owner,
        name: CacheName::of("query/library"),
        tags: vec![CacheTag::of_upstream("library")],
        digest: [number; 32],
    }
}
