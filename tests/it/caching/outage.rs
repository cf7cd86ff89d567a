//! No tier is needed: what is away or too slow is done without, and never an error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use turnpike_shared::cache::{CacheStatus, CacheTier, Mode};

use super::ground::{Ground, Work, key, user};
use crate::support::{Fault, FaultProxy, OldData};

/// What an instance waits for a store in production.
const SHORT: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn valkey_dies_in_the_middle_of_a_fill() {
    let mut ground = Ground::with_valkey().await;
    let instance = Arc::new(ground.instance().await);
    let (key_of, work) = (key(user(1), 1), Work::new("value"));
    let held = Arc::clone(&work.gate).write_owned().await;
    let asked = {
        let (instance, key, work) = (Arc::clone(&instance), key_of.clone(), work.clone());
        tokio::spawn(async move { instance.get(&key, &work).await })
    };
    work.begun(1).await;
    ground.redis.as_mut().unwrap().kill().await;
    drop(held);

    let answer = asked.await.unwrap();
    let next = instance.get(&key_of, &work).await;
    let another = ground.instance_as(ground.making()).await;
    let by_another = another.get(&key_of, &work).await;

    assert_eq!(
        (&*answer.value, answer.status),
        (&b"value"[..], CacheStatus::Miss)
    );
    assert_eq!(next.tier, Some(CacheTier::Memory));
    assert_eq!(by_another.tier, Some(CacheTier::DynamoDb));
    ground.redis.as_mut().unwrap().restart(OldData::Lost).await;
    instance.linked().await;
    let other_key = key(user(1), 2);
    instance.get(&other_key, &work).await;
    let back = ground.instance().await.get(&other_key, &work).await;
    assert_eq!(back.tier, Some(CacheTier::Valkey), "it is filled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_throttles_a_fill() {
    for ground in Ground::both().await {
        let proxy = FaultProxy::start(&ground.engine).await;
        let mut making = ground.making();
        making.dynamodb.clone_from(&proxy.endpoint);
        let instance = ground.instance_as(making).await;
        let (key, work) = (key(user(1), 1), Work::new("value"));
        proxy.set(Fault::Throttle("\"entry\"".to_owned()));

        let answer = instance.get(&key, &work).await;
        let next = instance.get(&key, &work).await;
        proxy.set(Fault::None);
        let by_another = ground.instance().await.get(&key, &work).await;

        assert_eq!(
            (&*answer.value, answer.status),
            (&b"value"[..], CacheStatus::Miss)
        );
        assert_eq!(next.tier, Some(CacheTier::Memory));
        let is_in_valkey = ground.redis.is_some();
        assert_eq!(by_another.tier, is_in_valkey.then_some(CacheTier::Valkey));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_or_silent_costs_its_budget_and_no_answer() {
    for ground in Ground::both().await {
        let proxy = FaultProxy::start(&ground.engine).await;
        let mut making = ground.making();
        making.dynamodb.clone_from(&proxy.endpoint);
        making.budget = SHORT;
        let instance = ground.instance_as(making).await;
        for fault in [Fault::Failure, Fault::Silence] {
            proxy.set(fault.clone());
            let (key, work) = (key(user(7), 1), Work::new("value"));
            let since = Instant::now();

            let answer = instance.get_now(&key, Mode::Default, &work).await;

            assert_eq!(&*answer.value, b"value", "{fault:?}");
            // A lookup and a lease, on a machine that is busy with other tests.
            assert!(
                since.elapsed() < Duration::from_secs(5),
                "{:?}",
                since.elapsed()
            );
        }
        proxy.set(Fault::None);
        instance.afterwards.done().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_store_memory_serves_what_was_confirmed_within_30_seconds() {
    for mut ground in Ground::both().await {
        let proxy = FaultProxy::start(&ground.engine).await;
        let mut making = ground.making();
        making.dynamodb.clone_from(&proxy.endpoint);
        let instance = ground.instance_as(making).await;
        let (key, work) = (key(user(1), 1), Work::new("value"));
        instance.get(&key, &work).await;
        proxy.set(Fault::Failure);
        if let Some(redis) = &mut ground.redis {
            redis.kill().await;
        }

        let at_once = instance.get(&key, &work).await;
        ground.pass(Duration::from_secs(29));
        let confirmed = instance.get(&key, &work).await;
        ground.pass(Duration::from_secs(2));
        let too_late = instance.get(&key, &work).await;

        assert_eq!(at_once.tier, Some(CacheTier::Memory));
        assert_eq!(confirmed.tier, Some(CacheTier::Memory));
        assert_eq!(
            (&*too_late.value, too_late.status),
            (&b"value"[..], CacheStatus::Miss)
        );
        assert_eq!(work.calls(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_valkey_alone_serves_and_fills() {
    let ground = Ground::with_valkey().await;
    let proxy = FaultProxy::start(&ground.engine).await;
    let mut making = ground.making();
    making.dynamodb.clone_from(&proxy.endpoint);
    let (first, second) = (
        ground.instance_as(making.clone()).await,
        ground.instance_as(making).await,
    );
    // The owner's generations have been copied.
    first.get(&key(user(1), 0), &Work::new("value")).await;
    proxy.set(Fault::Failure);
    let (key, work) = (key(user(1), 1), Work::new("value"));

    first.get(&key, &work).await;
    let by_another = second.get(&key, &work).await;

    assert_eq!(by_another.tier, Some(CacheTier::Valkey));
    assert_eq!(work.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_that_cannot_be_written_says_so() {
    let ground = Ground::plain().await;
    let proxy = FaultProxy::start(&ground.engine).await;
    let mut making = ground.making();
    making.dynamodb.clone_from(&proxy.endpoint);
    let instance = ground.instance_as(making).await;
    proxy.set(Fault::Failure);

    let everything = turnpike_shared::cache::Invalidation::everything();
    let refused = instance.cache.invalidate(&user(1), &everything).await;

    assert!(refused.unwrap_err().is_transient());
}
