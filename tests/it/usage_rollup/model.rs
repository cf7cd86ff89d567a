//! What the sums must be: each told from the records themselves, one question at a time.

use std::collections::{BTreeMap, BTreeSet};

use turnpike_shared::clock::Clock;
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{UsageStore, Whose};
use turnpike_shared::usage::{
    Bucket, Endpoint, Granularity, StageUsage, Sum, Tally, UsageRecord, UserUsage,
};

use super::yesterday_at_23;

fn counts<'a, K: Ord>(
    records: &[&'a UsageRecord],
    key: impl Fn(&'a UsageRecord) -> K,
) -> BTreeMap<K, Vec<&'a UsageRecord>> {
    let mut groups: BTreeMap<K, Vec<&UsageRecord>> = BTreeMap::new();
    for record in records {
        groups.entry(key(record)).or_default().push(record);
    }
    groups
}

fn endpoint_of(record: &UsageRecord) -> Endpoint {
    Endpoint {
        method: record.method.clone(),
        path: record.path.clone(),
    }
}

fn assert_tally(tally: &Tally, records: &[&UsageRecord]) {
    assert_eq!(tally.count(), records.len() as u64);
    let errors = records.iter().filter(|record| record.status >= 500).count();
    assert_eq!(tally.errors, errors as u64);
    let charged: u64 = records.iter().map(|record| u64::from(record.charged)).sum();
    assert_eq!(tally.charged, charged);
    let mut times: Vec<u32> = records.iter().map(|record| record.duration_ms).collect();
    times.sort_unstable();
    for percent in [50, 95] {
        let exact = times[(times.len() * percent).div_ceil(100) - 1];
        let told = tally.latency.percentile(percent as u64).unwrap();
        assert!(told.abs_diff(exact) <= exact / 32, "{told} for {exact}");
    }
}

fn assert_user(usage: &UserUsage, records: &[&UsageRecord]) {
    assert_tally(&usage.total, records);
    let endpoints = counts(records, endpoint_of);
    let endpoints = endpoints
        .into_iter()
        .map(|(key, of)| (key, of.len() as u64));
    assert_eq!(usage.endpoints, endpoints.collect());
    let statuses = counts(records, |record| record.status);
    let statuses = statuses.into_iter().map(|(key, of)| (key, of.len() as u64));
    assert_eq!(usage.statuses, statuses.collect());
}

fn assert_stage(usage: &StageUsage, records: &[&UsageRecord]) {
    assert_tally(&usage.total, records);
    let endpoints = counts(records, endpoint_of);
    let told: BTreeSet<&Endpoint> = usage.endpoints.keys().collect();
    assert_eq!(told, endpoints.keys().collect());
    for (endpoint, records) in &endpoints {
        assert_tally(&usage.endpoints[endpoint], records);
    }
    let tier_of = |record: &UsageRecord| {
        let caller = record.caller.as_ref();
        caller.map_or("anonymous".to_owned(), |caller| caller.tier.to_string())
    };
    let tiers = counts(records, tier_of);
    let told: BTreeSet<&String> = usage.tiers.keys().collect();
    assert_eq!(told, tiers.keys().collect());
    for (tier, records) in &tiers {
        assert_tally(&usage.tiers[tier], records);
    }
}

/// The buckets of two days, and what is told of them.
async fn told<S: Sum>(
    usage: &UsageStore,
    whose: Whose,
    granularity: Granularity,
) -> BTreeMap<Bucket, S> {
    let first = Bucket::of(yesterday_at_23(), Granularity::Day);
    let last = first.next().end().minus(granularity.length());
    let mut told = BTreeMap::new();
    let now = Clock::system().now();
    let read = usage.read(
        whose,
        Bucket::of(first.start(), granularity),
        Bucket::of(last, granularity),
        now,
        |bucket, sum| {
            told.insert(bucket, sum);
        },
    );
    read.await.unwrap();
    told
}

/// Holds every sum of the table against the records.
pub(super) async fn assert_sums(usage: &UsageStore, users: &[UserId], records: &[UsageRecord]) {
    let all: Vec<&UsageRecord> = records.iter().collect();
    for granularity in [Granularity::Hour, Granularity::Day] {
        let bucket_of = |record: &UsageRecord| Bucket::of(record.at, granularity);
        for user in users {
            let is_theirs = |record: &&&UsageRecord| {
                record
                    .caller
                    .as_ref()
                    .is_some_and(|caller| caller.user == *user)
            };
            let theirs: Vec<&UsageRecord> = all.iter().filter(is_theirs).copied().collect();
            let buckets = counts(&theirs, bucket_of);
            let told = told::<UserUsage>(usage, Whose::User(*user), granularity).await;
            assert_eq!(
                told.keys().collect::<Vec<_>>(),
                buckets.keys().collect::<Vec<_>>()
            );
            for (bucket, records) in &buckets {
                assert_user(&told[bucket], records);
            }
        }
        let buckets = counts(&all, bucket_of);
        let told = told::<StageUsage>(usage, Whose::Everybodys, granularity).await;
        assert_eq!(
            told.keys().collect::<Vec<_>>(),
            buckets.keys().collect::<Vec<_>>()
        );
        for (bucket, records) in &buckets {
            assert_stage(&told[bucket], records);
        }
    }
}
