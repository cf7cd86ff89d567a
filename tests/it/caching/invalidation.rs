//! An invalidation ends entries everywhere, on the very next lookup, also what is being computed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use turnpike_shared::cache::{
    CacheKey, CacheName, CacheOwner, CacheStatus, CacheTag, CacheTier, Invalidation, Mode,
};

use super::ground::{Ground, Instance, TABLE, Work, key, user};
use crate::support::{OldData, client_at};

fn of_upstream(name: &str) -> Invalidation {
    Invalidation {
        tags: vec![CacheTag::of_upstream(name)],
        prefix: None,
    }
}

fn under(prefix: &str) -> Invalidation {
    Invalidation {
        tags: vec![],
        prefix: Some(CacheName::of(prefix)),
    }
}

/// Fills the memory of both.
async fn filled(first: &Instance, second: &Instance, key: &CacheKey) {
    let work = Work::new("old");
    first.get(key, &work).await;
    second.get(key, &work).await;
    for instance in [first, second] {
        let answer = instance.get(key, &work).await;
        assert_eq!(answer.tier, Some(CacheTier::Memory));
    }
}

#[tokio::test]
async fn one_invalidation_ends_an_entry_everywhere_on_the_very_next_lookup() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let owner = user(1);
        let ways = [
            of_upstream("library"),
            under("query"),
            under("query/library"),
            Invalidation::everything(),
        ];
        for (number, what) in (0..).zip(ways) {
            let key = key(owner, number);
            filled(&first, &second, &key).await;

            first.cache.invalidate(&owner, &what).await.unwrap();

            let new = Work::new("new");
            let by_the_other = second.get(&key, &new).await;
            let by_a_third = ground.instance().await.get(&key, &new).await;
            assert_eq!(&*by_the_other.value, b"new", "{what:?}");
            assert_eq!(by_the_other.status, CacheStatus::Miss, "{what:?}");
            assert_eq!(
                by_a_third.status,
                CacheStatus::Hit,
                "what was computed since holds"
            );
        }
    }
}

#[tokio::test]
async fn an_invalidation_ends_nothing_else() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let key_of_user = key(user(1), 1);
        filled(&first, &second, &key_of_user).await;

        for what in [of_upstream("other"), under("query/librar"), under("proxy")] {
            first.cache.invalidate(&user(1), &what).await.unwrap();
        }
        let everything = Invalidation::everything();
        first.cache.invalidate(&user(2), &everything).await.unwrap();
        first
            .cache
            .invalidate(&CacheOwner::Shared, &everything)
            .await
            .unwrap();

        let answer = second.get(&key_of_user, &Work::new("new")).await;
        assert_eq!(&*answer.value, b"old");
    }
}

#[tokio::test]
async fn a_users_own_tag_ends_all_of_that_users_entries() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let owner = user(1);
        let CacheOwner::User(id) = owner else {
            unreachable!("it is a user")
        };
        filled(&first, &second, &key(owner, 1)).await;
        let own_tag = Invalidation {
            tags: vec![CacheTag::of_user(id)],
            prefix: None,
        };

        first.cache.invalidate(&user(2), &own_tag).await.unwrap();
        let after_anothers = second.get(&key(owner, 1), &Work::new("new")).await;
        first.cache.invalidate(&owner, &own_tag).await.unwrap();
        let after_ones_own = second.get(&key(owner, 1), &Work::new("new")).await;

        assert_eq!(&*after_anothers.value, b"old");
        assert_eq!(&*after_ones_own.value, b"new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_during_a_computation_ends_what_comes_of_it() {
    for ground in Ground::both().await {
        let (first, second) = (Arc::new(ground.instance().await), ground.instance().await);
        let key = key(user(1), 1);
        let (old, new) = (Work::new("old"), Work::new("new"));
        let held = Arc::clone(&old.gate).write_owned().await;
        let computing = {
            let (first, key, old) = (Arc::clone(&first), key.clone(), old.clone());
            tokio::spawn(async move { first.get(&key, &old).await })
        };
        old.begun(1).await;

        second
            .cache
            .invalidate(&user(1), &of_upstream("library"))
            .await
            .unwrap();
        // Who comes now waits for no old value, and gets none.
        let late = {
            let (first, key, new) = (Arc::clone(&first), key.clone(), new.clone());
            tokio::spawn(async move { first.get(&key, &new).await })
        };
        drop(held);

        assert_eq!(
            &*computing.await.unwrap().value,
            b"old",
            "who asked before may have it"
        );
        assert_eq!(&*late.await.unwrap().value, b"new");
        for instance in [&*first, &second] {
            assert_eq!(&*instance.get(&key, &new).await.value, b"new");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_invalidations_all_hold() {
    for ground in Ground::both().await {
        let instance = Arc::new(ground.instance().await);
        let mut keys = vec![];
        for number in 0..8 {
            let mut key = key(user(1), number);
            key.tags = vec![CacheTag::of_upstream(&number.to_string())];
            instance.get(&key, &Work::new("old")).await;
            keys.push(key);
        }
        let mut ending = JoinSet::new();
        for number in 0..8 {
            let instance = Arc::clone(&instance);
            ending.spawn(async move {
                let what = of_upstream(&number.to_string());
                instance.cache.invalidate(&user(1), &what).await.unwrap();
            });
        }

        ending.join_all().await;

        for key in keys {
            assert_eq!(&*instance.get(&key, &Work::new("new")).await.value, b"new");
        }
    }
}

#[tokio::test]
async fn while_valkey_is_out_of_reach_an_invalidation_holds_elsewhere_within_a_minute() {
    let ground = Ground::with_valkey().await;
    let mut making = ground.making();
    making.valkey = Some(turnpike_shared::stores::ValkeyAddress {
        url: "redis://127.0.0.1:1".to_owned(),
        is_cluster: false,
    });
    let (apart, linked) = (ground.instance_as(making).await, ground.instance().await);
    let key = key(user(1), 1);
    linked.get(&key, &Work::new("old")).await;

    apart
        .cache
        .invalidate(&user(1), &Invalidation::everything())
        .await
        .unwrap();

    let new = Work::new("new");
    let by_who_is_apart = apart.get(&key, &new).await;
    ground.pass(Duration::from_mins(1));
    let after_a_minute = linked.get(&key, &new).await;
    assert_eq!(&*by_who_is_apart.value, b"new");
    assert_eq!(&*after_a_minute.value, b"new");
}

#[tokio::test]
async fn a_valkey_that_comes_back_with_old_data_resurrects_nothing() {
    let mut ground = Ground::with_valkey().await;
    let instance = ground.instance().await;
    let key = key(user(1), 1);
    instance.get(&key, &Work::new("old")).await;
    let redis = ground.redis.as_mut().unwrap();
    redis.save().await;
    redis.kill().await;
    // The link has a life of its own: until a command fails, nobody knows.
    instance
        .cache
        .invalidate(&user(1), &Invalidation::everything())
        .await
        .unwrap();
    redis.restart(OldData::Kept).await;
    // A link sees what is trusted by its own time; the next millisecond is another.
    ground.pass(Duration::from_millis(1));
    instance.linked().await;

    let answer = instance.get(&key, &Work::new("new")).await;

    assert_eq!(&*answer.value, b"new");
}

#[tokio::test]
async fn generations_that_cannot_be_read_end_everything_and_are_mended() {
    for ground in Ground::both().await {
        let (first, second) = (ground.instance().await, ground.instance().await);
        let key = key(user(1), 1);
        filled(&first, &second, &key).await;
        first
            .cache
            .invalidate(&user(1), &of_upstream("other"))
            .await
            .unwrap();
        let CacheOwner::User(id) = user(1) else {
            unreachable!("it is a user")
        };
        let table = client_at(&ground.engine.endpoint());
        let damage = table
            .update_item()
            .table_name(TABLE)
            .key(
                "pk",
                aws_sdk_dynamodb::types::AttributeValue::S(format!("OWNER#{id}")),
            )
            .key(
                "sk",
                aws_sdk_dynamodb::types::AttributeValue::S("GENERATIONS".into()),
            )
            .update_expression("SET generations = :bad")
            .expression_attribute_values(
                ":bad",
                aws_sdk_dynamodb::types::AttributeValue::B(
                    aws_sdk_dynamodb::primitives::Blob::new(vec![9, 9]),
                ),
            );
        damage.send().await.unwrap();
        let new = Work::new("new");

        let meanwhile = second.get_now(&key, Mode::Default, &new).await;
        second.afterwards.done().await;
        let mended = second.get(&key, &new).await;
        let kept = first.get(&key, &Work::new("newer")).await;

        assert_eq!(&*meanwhile.value, b"new");
        assert_eq!(&*mended.value, b"new");
        assert_eq!((&*kept.value, kept.status), (&b"new"[..], CacheStatus::Hit));
    }
}
