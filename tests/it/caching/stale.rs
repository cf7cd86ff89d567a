//! What is stale is served at once, and computed anew after the answer by one instance.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use turnpike_shared::cache::{CacheStatus, Computed, Entry, Mode};

use super::ground::{Ground, Instance, Work, key, user};

fn stale_for_a_minute(value: &str) -> Work {
    Work {
        stale_for: Duration::from_mins(1),
        ..Work::new(value)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_entry_is_served_at_once_and_computed_anew_by_one_instance() {
    for ground in Ground::both().await {
        let instances = [
            Arc::new(ground.instance().await),
            Arc::new(ground.instance().await),
        ];
        let key = key(user(1), 1);
        for instance in &instances {
            instance.get(&key, &stale_for_a_minute("old")).await;
        }
        ground.pass(Duration::from_secs(301));
        let new = stale_for_a_minute("new");
        let held = Arc::clone(&new.gate).write_owned().await;

        let mut asking = JoinSet::new();
        for caller in 0..16 {
            let (instance, key, new) =
                (Arc::clone(&instances[caller % 2]), key.clone(), new.clone());
            asking.spawn(async move { instance.get_now(&key, Mode::Default, &new).await });
        }
        // Nobody waits for the computation, which is held.
        let answers = asking.join_all().await;
        new.begun(1).await;
        drop(held);
        for instance in &instances {
            instance.afterwards.done().await;
        }

        for answer in answers {
            assert_eq!(
                (&*answer.value, answer.status),
                (&b"old"[..], CacheStatus::Stale)
            );
        }
        assert_eq!(new.calls(), 1);
        for instance in &instances {
            let answer = instance.get(&key, &Work::new("newer")).await;
            assert_eq!(
                (&*answer.value, answer.status),
                (&b"new"[..], CacheStatus::Hit)
            );
        }
    }
}

#[tokio::test]
async fn a_stale_entry_that_cannot_be_computed_anew_is_served_on_until_its_end() {
    for ground in Ground::both().await {
        let instance = ground.instance().await;
        let key = key(user(1), 1);
        instance.get(&key, &stale_for_a_minute("old")).await;
        let fails = |_: Option<Entry>| async { Err::<Computed, _>("broken") };
        let ask = async |instance: &Instance| {
            let answer = instance
                .cache
                .get_or_compute(&key, Mode::Default, fails)
                .await;
            instance.afterwards.done().await;
            answer.map(|answer| answer.status)
        };

        ground.pass(Duration::from_secs(301));
        assert_eq!(ask(&instance).await, Ok(CacheStatus::Stale));
        assert_eq!(ask(&instance).await, Ok(CacheStatus::Stale));
        ground.pass(Duration::from_mins(1));
        assert_eq!(ask(&instance).await, Err("broken"));
    }
}

#[tokio::test]
async fn many_stale_entries_at_once_are_all_computed_anew() {
    let ground = Ground::with_valkey().await;
    let instance = Arc::new(ground.instance().await);
    let (old, new) = (stale_for_a_minute("old"), stale_for_a_minute("new"));
    let numbers = || (0..=1_u8).flat_map(|owner| (0..=255_u8).map(move |number| (owner, number)));
    for (owner, number) in numbers() {
        instance
            .get_now(&key(user(owner.into()), number), Mode::Default, &old)
            .await;
    }
    instance.afterwards.done().await;
    ground.pass(Duration::from_secs(301));

    let mut asking = JoinSet::new();
    for (owner, number) in numbers() {
        let (instance, new) = (Arc::clone(&instance), new.clone());
        asking.spawn(async move {
            instance
                .get_now(&key(user(owner.into()), number), Mode::Default, &new)
                .await
        });
    }
    asking.join_all().await;
    instance.afterwards.done().await;

    assert_eq!(new.calls(), 512);
}
