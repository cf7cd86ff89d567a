//! Asks the cache for answers, and prints how long each tier took and how often a trace of queries
//! had to be computed, as JSON.
//!
//! `caching URL` takes the address of a Valkey or Redis server; DynamoDB is an embedded engine over
//! HTTP, which runs in this process on a thread of its own. The upstream is a sleep: what is counted
//! is how often it is called.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use axum::body::Bytes;
use dynoxide::Database;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use turnpike_shared::afterwards::Afterwards;
use turnpike_shared::cache::{
    Cache, CacheKey, CacheName, CacheOwner, CacheParts, CacheSettings, CacheStatus, CacheTag,
    CacheTier, Cached, Computed, Mode,
};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::Environment;
use turnpike_shared::stores::{DynamoDb, ValkeyAddress, ValkeyLink, client_of_engine};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TABLE: &str = "CacheTable";
/// Generous: an answer that is late is a figure here, no outage.
const BUDGET: Duration = Duration::from_secs(5);
/// Longer than the program runs: what is computed twice is computed once too often.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// An answer of the usual size.
const VALUE_BYTES: usize = 2_048;
const NOT_KEPT: &str = "no tier had what was put there";

/// Hits that are measured of each tier.
const HITS: u64 = 1_000;

const QUERIES: usize = 100_000;
const DISTINCT: usize = 1_000;
const INSTANCES: usize = 4;
const AT_A_TIME: usize = 64;
/// What a computation of the trace takes: long enough for others to come upon it.
const COMPUTATION: Duration = Duration::from_millis(50);

/// The stores that every instance shares.
struct Stores {
    dynamodb: DynamoDb,
    valkey: String,
}

/// The cache of one process, as far as this program has several.
struct Instance {
    cache: Cache,
    afterwards: Afterwards,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let valkey = std::env::args().nth(1).ok_or("usage: caching URL")?;
    let dynamodb = DynamoDb::from_environment(&environment(&start_dynamodb()?))?;
    create_table(&dynamodb).await?;
    let stores = Stores { dynamodb, valkey };
    let found = json!({
        "tiers": tiers(&stores).await?,
        "trace": trace(&stores).await?,
    });
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    {
        println!("{found}");
    }
    Ok(())
}

impl Stores {
    async fn instance(&self, has_valkey: bool) -> Instance {
        let (clock, afterwards) = (Clock::system(), Afterwards::default());
        let mut valkey = None;
        if has_valkey {
            let address = ValkeyAddress {
                url: self.valkey.clone(),
                is_cluster: false,
            };
            let link = ValkeyLink::new(address, clock.clone(), BUDGET);
            link.connect().await;
            valkey = Some(link);
        }
        let cache = Cache::new(CacheParts {
            quick: self.dynamodb.within(BUDGET),
            dynamodb: self.dynamodb.clone(),
            table: TABLE.to_owned(),
            valkey,
            clock,
            afterwards: afterwards.clone(),
            settings: CacheSettings::default(),
        });
        Instance { cache, afterwards }
    }
}

/// How long a hit takes in each tier. Every key is asked for once by an instance whose memory is
/// empty, and then once more.
async fn tiers(stores: &Stores) -> Result<Vec<Value>, Failure> {
    let filler = stores.instance(true).await;
    for number in 0..HITS {
        get(&filler.cache, number, |_| ready(Ok(computed()))).await?;
    }
    filler.afterwards.done().await;
    let mut figures = vec![];
    for (has_valkey, store) in [(true, CacheTier::Valkey), (false, CacheTier::DynamoDb)] {
        let instance = stores.instance(has_valkey).await;
        for tier in [store, CacheTier::Memory] {
            let mut times = vec![];
            for number in 0..HITS {
                let begun = Instant::now();
                let cached = get(&instance.cache, number, |_| ready(Err(NOT_KEPT))).await?;
                times.push(begun.elapsed());
                if cached.tier != Some(tier) {
                    return Err(format!("{tier:?} was asked, and {cached:?} came").into());
                }
            }
            figures.push(figure(tier, has_valkey, times));
        }
    }
    Ok(figures)
}

fn figure(tier: CacheTier, has_valkey: bool, mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        let nanos = times.get(rank - 1).map_or(0, Duration::as_nanos);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    };
    let tier = match tier {
        CacheTier::Memory => "memory",
        CacheTier::Valkey => "valkey",
        CacheTier::DynamoDb => "dynamodb",
    };
    json!({
        "tier": tier,
        "has_valkey": has_valkey,
        "p50_nanos": at(50),
        "p99_nanos": at(99),
    })
}

/// A trace of queries, of which few are asked for often and many seldom (Zipf's law, exponent 1),
/// put to several instances by many callers at once.
async fn trace(stores: &Stores) -> Result<Value, Failure> {
    let mut instances = vec![];
    for _ in 0..INSTANCES {
        instances.push(stores.instance(true).await);
    }
    let calls: Arc<Vec<AtomicU64>> = Arc::new((0..DISTINCT).map(|_| AtomicU64::new(0)).collect());
    let asked: Arc<Vec<usize>> = Arc::new(zipf(QUERIES, DISTINCT));
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..AT_A_TIME {
        let cache = instances[caller % INSTANCES].cache.clone();
        let (calls, asked, next) = (Arc::clone(&calls), Arc::clone(&asked), Arc::clone(&next));
        callers.spawn(async move {
            let mut misses = 0;
            while let Some(key) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (key, calls) = (*key, Arc::clone(&calls));
                // Not the keys of the tiers.
                let number = HITS + u64::try_from(key)?;
                let upstream = move |_| {
                    let calls = Arc::clone(&calls);
                    async move {
                        calls[key].fetch_add(1, Ordering::Relaxed);
                        sleep(COMPUTATION).await;
                        Ok(computed())
                    }
                };
                let cached = get(&cache, number, upstream).await?;
                misses += u64::from(cached.status == CacheStatus::Miss);
            }
            Ok::<u64, Failure>(misses)
        });
    }
    let mut misses = 0;
    while let Some(ended) = callers.join_next().await {
        misses += ended??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    for instance in instances {
        instance.afterwards.done().await;
    }
    let calls: Vec<u64> = calls
        .iter()
        .map(|calls| calls.load(Ordering::Relaxed))
        .collect();
    Ok(json!({
        "queries": QUERIES,
        "distinct": calls.iter().filter(|calls| **calls > 0).count(),
        "instances": INSTANCES,
        "at_a_time": AT_A_TIME,
        "misses": misses,
        "calls": calls.iter().sum::<u64>(),
        "most_calls_of_a_query": calls.iter().max(),
        "seconds": seconds,
    }))
}

/// Which query is asked for when: by rank, the first most often. The same in every run.
fn zipf(count: usize, distinct: usize) -> Vec<usize> {
    let mut total = 0.0;
    let weights = (1..=distinct).map(|rank| {
        total += 1.0 / f64::from(u32::try_from(rank).unwrap_or(u32::MAX));
        total
    });
    let cumulated: Vec<f64> = weights.collect();
    let mut state = 1_u64;
    let draws = (0..count).map(|_| {
        let at = uniform(&mut state) * total;
        cumulated
            .partition_point(|weight| *weight < at)
            .min(distinct - 1)
    });
    draws.collect()
}

/// The next number from 0 to 1 (`SplitMix64`; Steele, Lea and Flood, 2014).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(u32::MAX);
    f64::from(high) / f64::from(u32::MAX)
}

async fn get<F, Fut>(cache: &Cache, number: u64, compute: F) -> Result<Cached, &'static str>
where
    F: Fn(Option<turnpike_shared::cache::Entry>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Computed, &'static str>> + Send + 'static,
{
    cache
        .get_or_compute(&key(number), Mode::Default, compute)
        .await
}

/// A key as a query of a shared upstream has.
fn key(number: u64) -> CacheKey {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    CacheKey {
        owner: CacheOwner::Shared,
        name: CacheName::of("query/library"),
        tags: vec![CacheTag::of_upstream("library")],
        digest,
    }
}

fn computed() -> Computed {
    Computed {
        value: Bytes::from(vec![0x2a; VALUE_BYTES]),
        fresh_for: FRESH_FOR,
        stale_for: Duration::ZERO,
        is_stored: true,
    }
}

/// The embedded engine, on a free port; its address.
fn start_dynamodb() -> Result<String, Failure> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let database = Database::memory().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if let Ok(listener) = TcpListener::from_std(listener) {
                dynoxide::server::serve_on(listener, database).await;
            }
        });
    });
    Ok(endpoint)
}

fn environment(endpoint: &str) -> Environment {
    Environment::default()
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "bench")
        .with("AWS_SECRET_ACCESS_KEY", "bench")
        .with("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
}

async fn create_table(dynamodb: &DynamoDb) -> Result<(), Failure> {
    let mut request = client_of_engine(dynamodb)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind);
        request = request
            .attribute_definitions(attribute.build()?)
            .key_schema(key.build()?);
    }
    request.send().await?;
    Ok(())
}
