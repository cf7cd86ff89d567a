//! What each tier has, and how one is served from the nearest.

use std::time::Duration;

use turnpike_shared::cache::{
    CacheOwner, CacheStatus, CacheTier, Cached, Computed, Entry, Mode, Usable,
};

use super::ground::{Ground, Work, key, user};
use crate::support::RedisCluster;

fn came(cached: &Cached) -> (&[u8], CacheStatus, Option<CacheTier>) {
    (&cached.value, cached.status, cached.tier)
}

const MISS: (CacheStatus, Option<CacheTier>) = (CacheStatus::Miss, None);
const IN_MEMORY: (CacheStatus, Option<CacheTier>) = (CacheStatus::Hit, Some(CacheTier::Memory));
const IN_VALKEY: (CacheStatus, Option<CacheTier>) = (CacheStatus::Hit, Some(CacheTier::Valkey));
const IN_DYNAMODB: (CacheStatus, Option<CacheTier>) = (CacheStatus::Hit, Some(CacheTier::DynamoDb));

fn how(cached: &Cached) -> (CacheStatus, Option<CacheTier>) {
    (cached.status, cached.tier)
}

#[tokio::test]
async fn what_was_computed_once_is_served_from_memory_and_by_others_from_the_nearest_store() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let work = Work::new("value");
        let key = key(user(1), 1);
        let in_store = if ground.redis.is_some() {
            IN_VALKEY
        } else {
            IN_DYNAMODB
        };

        let answers = [
            first.get(&key, &work).await,
            first.get(&key, &work).await,
            second.get(&key, &work).await,
            second.get(&key, &work).await,
        ];

        assert_eq!(
            answers.each_ref().map(how),
            [MISS, IN_MEMORY, in_store, IN_MEMORY]
        );
        assert!(answers.iter().all(|answer| came(answer).0 == b"value"));
        assert_eq!(work.calls(), 1);
    }
}

#[tokio::test]
async fn a_restarted_process_serves_from_the_warm_tier_and_brings_it_nearer() {
    let mut ground = Ground::with_valkey().await;
    let work = Work::new("value");
    let key = key(CacheOwner::Shared, 1);
    ground.instance().await.get(&key, &work).await;
    // Valkey begins anew too.
    ground.redis = Some(crate::support::RedisServer::start().await);

    let restarted = ground.instance().await;
    let from_warm = restarted.get(&key, &work).await;
    let another = ground.instance().await.get(&key, &work).await;

    assert_eq!(how(&from_warm), IN_DYNAMODB);
    assert_eq!(how(&another), IN_VALKEY);
    assert_eq!(work.calls(), 1);
}

#[tokio::test]
async fn a_cluster_does_what_a_single_server_does() {
    let (ground, cluster) = (Ground::plain().await, RedisCluster::start().await);
    let mut making = ground.making();
    making.valkey = Some(cluster.address());
    let first = ground.instance_as(making.clone()).await;
    let second = ground.instance_as(making).await;
    let work = Work::new("value");

    for number in 0..32 {
        for owner in [user(1), user(2), CacheOwner::Shared] {
            let key = key(owner, number);
            assert_eq!(how(&first.get(&key, &work).await), MISS);
            assert_eq!(how(&second.get(&key, &work).await), IN_VALKEY);
        }
    }
    let everything = turnpike_shared::cache::Invalidation::everything();
    let cleared = first
        .cache
        .invalidate(&CacheOwner::Shared, &everything)
        .await;
    cleared.unwrap();
    for number in 0..32 {
        assert_eq!(
            how(&second.get(&key(CacheOwner::Shared, number), &work).await),
            MISS
        );
        assert_eq!(
            how(&second.get(&key(user(1), number), &work).await),
            IN_MEMORY
        );
    }
}

#[tokio::test]
async fn what_has_expired_is_computed_anew_in_every_tier() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let work = Work::new("value");
        let key = key(user(1), 1);
        first.get(&key, &work).await;
        ground.pass(Duration::from_mins(5));

        let by_another = second.get(&key, &work).await;
        let by_the_same = first.get(&key, &work).await;

        assert_eq!(how(&by_another), MISS);
        assert_ne!(how(&by_the_same), MISS, "the new one is there");
        assert_eq!(work.calls(), 2);
        assert!(
            by_the_same.age < Duration::from_mins(4),
            "its age is that of the new one"
        );
    }
}

#[tokio::test]
async fn a_long_lived_entry_leaves_memory_after_five_minutes_and_is_found_in_a_store() {
    for ground in Ground::both().await {
        let instance = ground.instance().await;
        let work = Work {
            fresh_for: Duration::from_hours(20),
            ..Work::new("value")
        };
        let key = key(user(1), 1);
        instance.get(&key, &work).await;
        ground.pass(Duration::from_mins(6));

        let later = instance.get(&key, &work).await;

        assert_ne!(how(&later), MISS);
        assert_ne!(later.tier, Some(CacheTier::Memory));
        assert!(later.age >= Duration::from_mins(6), "{:?}", later.age);
    }
}

#[tokio::test]
async fn nothing_lives_in_the_warm_tier_for_more_than_a_day() {
    let ground = Ground::plain().await;
    let work = Work {
        fresh_for: Duration::from_hours(24 * 30),
        ..Work::new("value")
    };
    let key = key(user(1), 1);
    ground.instance().await.get(&key, &work).await;
    ground.pass(Duration::from_hours(25));

    let later = ground.instance().await.get(&key, &work).await;

    assert_eq!(how(&later), MISS);
}

#[tokio::test]
async fn a_bypass_neither_looks_nor_keeps_and_a_refresh_keeps_what_it_computes() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let (old, new) = (Work::new("old"), Work::new("new"));
        let key = key(user(1), 1);
        first.get(&key, &old).await;

        let bypassed = first.get_now(&key, Mode::Bypass, &new).await;
        let kept = first.get(&key, &new).await;
        let refreshed = first.get_now(&key, Mode::Refresh, &new).await;
        first.afterwards.done().await;
        let by_another = second.get(&key, &old).await;

        assert_eq!(came(&bypassed), (&b"new"[..], CacheStatus::Bypass, None));
        assert_eq!(&*kept.value, b"old");
        assert_eq!(came(&refreshed), (&b"new"[..], CacheStatus::Refresh, None));
        assert_eq!(&*by_another.value, b"new");
        assert_eq!((old.calls(), new.calls()), (1, 2));
    }
}

#[tokio::test]
async fn owners_names_and_parameters_are_told_apart() {
    for ground in Ground::both().await {
        let instance = ground.instance().await;
        let mut other_name = key(user(1), 1);
        other_name.name = turnpike_shared::cache::CacheName::of("query/other");
        let keys = [
            key(user(1), 1),
            key(user(2), 1),
            key(CacheOwner::Shared, 1),
            key(user(1), 2),
            other_name,
        ];

        for (number, key) in keys.iter().enumerate() {
            let answer = instance
                .get(key, &Work::new(vec![u8::try_from(number).unwrap()]))
                .await;
            assert_eq!(how(&answer), MISS, "{key:?}");
        }

        for (number, key) in keys.iter().enumerate() {
            let answer = instance.get(key, &Work::new("nobody asks for this")).await;
            assert_eq!(&*answer.value, [u8::try_from(number).unwrap()]);
        }
    }
}

#[tokio::test]
async fn a_judge_decides_what_is_served_and_an_older_entry_is_shown_to_who_computes() {
    for ground in Ground::both().await {
        let instance = ground.instance().await;
        let key = key(user(1), 1);
        instance.get(&key, &Work::new("old")).await;
        let compute = |older: Option<Entry>| async move {
            let older = older.expect("there is one");
            assert_eq!(&*older.value, b"old");
            Ok::<_, &str>(Computed {
                value: "validated".into(),
                fresh_for: older.fresh_for,
                stale_for: Duration::ZERO,
                is_stored: true,
            })
        };

        let no = instance
            .cache
            .fetch(&key, |_: &Entry| Usable::No, compute)
            .await
            .unwrap();
        instance.afterwards.done().await;
        let yes = instance
            .cache
            .fetch(&key, |_: &Entry| Usable::Fresh, compute)
            .await
            .unwrap();

        assert_eq!(came(&no), (&b"validated"[..], CacheStatus::Miss, None));
        assert_eq!(how(&yes), IN_MEMORY);
    }
}
