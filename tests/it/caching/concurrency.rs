//! One computation per key at a time, in a process and over all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use turnpike_shared::cache::{CacheStatus, Computed, Entry, Mode};

use super::ground::{Ground, Instance, Work, key, user};
use crate::support::until;

/// Callers at once, of each instance in turn.
async fn callers(instances: &[Arc<Instance>], callers: usize, work: &Work) -> Vec<CacheStatus> {
    let mut asking = JoinSet::new();
    for caller in 0..callers {
        let instance = Arc::clone(&instances[caller % instances.len()]);
        let work = work.clone();
        asking.spawn(async move {
            instance
                .get_now(&key(user(1), 1), Mode::Default, &work)
                .await
        });
    }
    let answers = asking.join_all().await;
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_callers_over_two_instances_one_computes() {
    for ground in Ground::both().await {
        let instances = [
            Arc::new(ground.instance().await),
            Arc::new(ground.instance().await),
        ];
        let work = Work::new("value");
        let held = Arc::clone(&work.gate).write_owned().await;
        let asked = {
            let work = work.clone();
            tokio::spawn(async move { callers(&instances, 64, &work).await })
        };
        work.begun(1).await;
        drop(held);

        let statuses = asked.await.unwrap();

        assert_eq!(work.calls(), 1);
        let misses = statuses
            .iter()
            .filter(|status| **status == CacheStatus::Miss);
        assert_eq!(misses.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ten_rounds_every_key_is_computed_once_by_whoever_comes_first() {
    for ground in Ground::both().await {
        let instances = [
            Arc::new(ground.instance().await),
            Arc::new(ground.instance().await),
        ];
        for round in 0..10 {
            let work = Work::new("value");
            let mut asking = JoinSet::new();
            for caller in 0..16 {
                let (instance, work) = (Arc::clone(&instances[caller % 2]), work.clone());
                asking.spawn(async move {
                    instance
                        .get_now(&key(user(2), round), Mode::Default, &work)
                        .await
                });
            }
            asking.join_all().await;
            assert_eq!(work.calls(), 1, "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_dies_delays_the_others_no_longer_than_its_lease_lives() {
    for ground in Ground::both().await {
        let mut making = ground.making();
        making.settings.lease_life = Duration::from_secs(1);
        let dying = ground.instance_as(making.clone()).await;
        let other = ground.instance_as(making).await;
        let (never, work) = (Work::new("never"), Work::new("value"));
        let _held = Arc::clone(&never.gate).write_owned().await;
        // As a process that is killed does, its runtime goes without a word to anybody.
        let (key_of, begun) = (key(user(1), 1), never.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let dies = async { begun.begun(1).await };
                tokio::select! {
                    biased;
                    () = dies => {}
                    _ = dying.get_now(&key_of, Mode::Default, &begun) => {}
                }
                std::mem::forget(dying);
            });
            std::mem::forget(runtime);
        })
        .join()
        .unwrap();
        let since = Instant::now();

        let answer = other.get(&key(user(1), 1), &work).await;

        assert_eq!(&*answer.value, b"value");
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "{:?}",
            since.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computation_that_outlives_a_lease_keeps_it() {
    for ground in Ground::both().await {
        let mut making = ground.making();
        making.settings.lease_life = Duration::from_millis(600);
        let (first, second) = (
            ground.instance_as(making.clone()).await,
            ground.instance_as(making).await,
        );
        let (first, second) = (Arc::new(first), Arc::new(second));
        let work = Work::new("value");
        let held = Arc::clone(&work.gate).write_owned().await;
        let mut asking = JoinSet::new();
        for instance in [first, second] {
            let work = work.clone();
            asking.spawn(async move {
                instance
                    .get_now(&key(user(1), 1), Mode::Default, &work)
                    .await
            });
        }
        work.begun(1).await;
        let three_lives = Duration::from_millis(1_800);
        let other = tokio::time::timeout(three_lives, work.begun(2)).await;
        assert!(other.is_err(), "another computes what is being computed");
        drop(held);

        asking.join_all().await;

        assert_eq!(work.calls(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_leaves_the_computation_to_the_next() {
    for ground in Ground::both().await {
        let instance = Arc::new(ground.instance().await);
        let work = Work::new("value");
        let held = Arc::clone(&work.gate).write_owned().await;
        let ask = || {
            let (instance, work) = (Arc::clone(&instance), work.clone());
            tokio::spawn(async move {
                instance
                    .get_now(&key(user(1), 1), Mode::Default, &work)
                    .await
            })
        };
        let leader = ask();
        work.begun(1).await;
        let follower = ask();

        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        work.begun(2).await;
        drop(held);

        assert_eq!(&*follower.await.unwrap().value, b"value");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_all_who_wait_and_the_next_one_computes() {
    for ground in Ground::both().await {
        let instance = Arc::new(ground.instance().await);
        let gate = Work::new("");
        let held = Arc::clone(&gate.gate).write_owned().await;
        let fails = {
            let gate = gate.clone();
            move |older: Option<Entry>| {
                let waits = (gate.compute())(older);
                async move {
                    waits.await.unwrap();
                    Err::<Computed, _>("broken")
                }
            }
        };
        let mut asking = JoinSet::new();
        for _ in 0..8 {
            let (instance, fails) = (Arc::clone(&instance), fails.clone());
            asking.spawn(async move {
                let key = key(user(1), 1);
                instance
                    .cache
                    .get_or_compute(&key, Mode::Default, fails)
                    .await
                    .unwrap_err()
            });
        }
        gate.begun(1).await;
        // All of them have come when nobody else is on the way to the stores.
        until(async || match Arc::strong_count(&instance) {
            9 => Ok(()),
            count => Err(format!("{count} hold the instance")),
        })
        .await;
        drop(held);

        let failures = asking.join_all().await;

        assert_eq!(failures, ["broken"; 8]);
        assert!(gate.calls() <= 8);
        let answer = instance.get(&key(user(1), 1), &Work::new("value")).await;
        assert_eq!(answer.status, CacheStatus::Miss);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_else_may_have_is_computed_by_each_without_waiting_for_the_others() {
    for ground in Ground::both().await {
        let instances = [
            Arc::new(ground.instance().await),
            Arc::new(ground.instance().await),
        ];
        let work = Work {
            is_stored: false,
            ..Work::new("private")
        };
        callers(&instances, 1, &work).await;
        instances[0].afterwards.done().await;
        let held = Arc::clone(&work.gate).write_owned().await;
        let asked = {
            let work = work.clone();
            tokio::spawn(async move { callers(&instances, 8, &work).await })
        };

        // All of them compute at one time.
        work.begun(1 + 8).await;
        drop(held);

        let statuses = asked.await.unwrap();
        assert_eq!(statuses, [CacheStatus::Miss; 8]);
        assert_eq!(work.calls(), 1 + 8);
    }
}
