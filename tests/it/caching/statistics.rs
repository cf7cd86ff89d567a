//! Statistics add up over all instances, for each owner and over all.

use std::time::Duration;

use turnpike_shared::cache::{
    CacheOwner, CacheStatistics, CacheTier, Invalidation, TierStatistics,
};

use super::ground::{Ground, Work, key, user};
use crate::support::until;

fn of(stats: &CacheStatistics, tier: CacheTier) -> TierStatistics {
    *stats.tiers.iter().find(|found| found.tier == tier).unwrap()
}

/// Hits, misses and fills.
fn counts(stats: &CacheStatistics, tier: CacheTier) -> [u64; 3] {
    let counts = of(stats, tier).counts;
    [counts.hits, counts.misses, counts.fills]
}

#[tokio::test]
async fn what_instances_count_adds_up_for_each_owner_and_over_all() {
    let ground = Ground::with_valkey().await;
    let (first, second) = (ground.instance().await, ground.instance().await);
    let work = Work::new("a value of some length");
    for owner in [user(1), CacheOwner::Shared] {
        for number in 0..3 {
            // A miss and a hit in memory here, a hit in Valkey there.
            first.get(&key(owner, number), &work).await;
            first.get(&key(owner, number), &work).await;
            second.get(&key(owner, number), &work).await;
        }
    }
    first.cache.flush().await;
    second.cache.flush().await;

    let of_user = first.cache.stats(user(1)).await.unwrap();
    let of_nobody = first.cache.stats(user(2)).await.unwrap();
    let of_all = second.cache.stats_of_all().await.unwrap();

    for (stats, times) in [(&of_user, 1), (&of_all, 2), (&of_nobody, 0)] {
        assert_eq!(
            counts(stats, CacheTier::Memory),
            [3, 6, 6].map(|count| count * times)
        );
        assert_eq!(
            counts(stats, CacheTier::Valkey),
            [3, 3, 3].map(|count| count * times)
        );
        assert_eq!(
            counts(stats, CacheTier::DynamoDb),
            [0, 3, 3].map(|count| count * times)
        );
        assert_eq!(of(stats, CacheTier::DynamoDb).entries, 3 * times);
        let holds_bytes = of(stats, CacheTier::Valkey).bytes > 0;
        assert_eq!(holds_bytes, times > 0);
        let expected = if times == 0 { 0.0 } else { 6.0 / 9.0 };
        assert!(
            (stats.hit_ratio - expected).abs() < 1e-9,
            "{}",
            stats.hit_ratio
        );
        assert!(stats.tiers.iter().all(|tier| tier.is_available));
    }
}

#[tokio::test]
async fn they_are_written_by_themselves_within_seconds() {
    let ground = Ground::plain().await;
    let instance = ground.instance().await;
    instance.get(&key(user(1), 1), &Work::new("value")).await;

    until(async || {
        let stats = instance.cache.stats(user(1)).await.unwrap();
        let fills = of(&stats, CacheTier::DynamoDb).counts.fills;
        (fills == 1).then_some(()).ok_or(format!("{stats:?}"))
    })
    .await;

    let stats = instance.cache.stats(user(1)).await.unwrap();
    assert!(!of(&stats, CacheTier::Valkey).is_available, "there is none");
}

#[tokio::test]
async fn a_cleared_cache_holds_nothing_and_a_day_later_nothing_is_shown() {
    let ground = Ground::plain().await;
    let instance = ground.instance().await;
    instance.get(&key(user(1), 1), &Work::new("value")).await;
    instance.cache.flush().await;

    instance
        .cache
        .invalidate(&user(1), &Invalidation::everything())
        .await
        .unwrap();

    let cleared = instance.cache.stats(user(1)).await.unwrap();
    assert_eq!(of(&cleared, CacheTier::DynamoDb).entries, 0);
    assert_eq!(of(&cleared, CacheTier::DynamoDb).bytes, 0);
    assert_eq!(of(&cleared, CacheTier::DynamoDb).counts.fills, 1);
    instance.get(&key(user(1), 1), &Work::new("value")).await;
    instance.cache.flush().await;
    let filled = instance.cache.stats(user(1)).await.unwrap();
    assert_eq!(of(&filled, CacheTier::DynamoDb).entries, 1);
    ground.pass(Duration::from_hours(25));
    let later = instance.cache.stats(user(1)).await.unwrap();
    assert_eq!(of(&later, CacheTier::Memory).counts.fills, 0);
}
