//! What the sums must be: each told from the records themselves, one question at a time.

use std::collections::BTreeMap;

use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::UsageStore;
use turnpike_shared::usage::{
    Bucket, Endpoint, Granularity, GroupBy, Range, Tally, UsageRecord, UserUsage,
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
        if times.is_empty() {
            assert_eq!(tally.latency.percentile(percent as u64), None);
            continue;
        }
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

/// The two days in which all records lie, in hours or days.
fn two_days(granularity: Granularity) -> Range {
    let first = Bucket::of(yesterday_at_23(), Granularity::Day);
    range(first.start(), first.next().end(), granularity)
}

fn range(from: Timestamp, to: Timestamp, granularity: Granularity) -> Range {
    Range::new(Some(from), Some(to), granularity, Clock::system().now()).unwrap()
}

/// Holds every sum of the table against the records.
pub(super) async fn assert_sums(usage: &UsageStore, users: &[UserId], records: &[UsageRecord]) {
    let now = Clock::system().now();
    for granularity in [Granularity::Hour, Granularity::Day] {
        for bucket in two_days(granularity).buckets() {
            let one = range(bucket.start(), bucket.end(), granularity);
            let is_in = |record: &&UsageRecord| Bucket::of(record.at, granularity) == bucket;
            let all: Vec<&UsageRecord> = records.iter().filter(is_in).collect();
            for user in users {
                let is_theirs = |record: &&&UsageRecord| {
                    let caller = record.caller.as_ref();
                    caller.is_some_and(|caller| caller.user == *user)
                };
                let theirs: Vec<&UsageRecord> = all.iter().filter(is_theirs).copied().collect();
                let told = usage.of_user(*user, one, now).await.unwrap();
                assert_user(&told.total, &theirs);
            }
            assert_groups(usage, one, GroupBy::Tier, &all, tier_of).await;
            assert_groups(usage, one, GroupBy::Endpoint, &all, |record| {
                endpoint_of(record).to_string()
            })
            .await;
        }
    }
}

fn tier_of(record: &UsageRecord) -> String {
    let caller = record.caller.as_ref();
    caller.map_or("anonymous".to_owned(), |caller| caller.tier.to_string())
}

async fn assert_groups(
    usage: &UsageStore,
    range: Range,
    by: GroupBy,
    records: &[&UsageRecord],
    key: impl Fn(&UsageRecord) -> String,
) {
    let told = usage
        .of_stage(range, by, Clock::system().now())
        .await
        .unwrap();
    assert_tally(&told.total, records);
    let groups = counts(records, key);
    let told: BTreeMap<&str, &Tally> = told.groups().into_iter().collect();
    assert!(told.keys().copied().eq(groups.keys().map(String::as_str)));
    for (key, records) in &groups {
        assert_tally(told[key.as_str()], records);
    }
}
