//! A cluster: what holds on one server holds there, since everything of a subject is in one slot.

use std::collections::BTreeSet;

use tokio::runtime::Runtime;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::ids::UserId;
use turnpike_shared::limits::{Subject, Verdict, Window, WindowId};

use super::concurrency::hold_under_concurrency;
use super::contract::hold_to_the_contract;
use super::engines::{
    ask, check, fresh_subject, sliding, start_tables, timeless_valkey_engine, valkey_instances,
};
use crate::support::RedisCluster;

const NOW: Timestamp = Timestamp::from_millis(1_795_207_380_000);

#[test]
fn any_history_is_decided_on_a_cluster_as_the_model_decides_it() {
    let runtime = Runtime::new().unwrap();
    let (tables, cluster) =
        runtime.block_on(async { (start_tables().await, RedisCluster::start().await) });
    let (address, endpoint) = (cluster.address(), tables.endpoint());
    let instances = runtime.block_on(valkey_instances(&address, &endpoint));

    hold_to_the_contract(&runtime, &instances, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_of_two_processes_get_a_hundred_requests_through_a_cluster() {
    let (tables, cluster) = (start_tables().await, RedisCluster::start().await);

    hold_under_concurrency(&tables, Some(cluster.address()), 5).await;
}

#[tokio::test]
async fn all_keys_of_a_subject_are_in_one_slot_and_subjects_are_in_different_ones() {
    let (tables, cluster) = (start_tables().await, RedisCluster::start().await);
    let engine = timeless_valkey_engine(cluster.address(), &tables.endpoint()).await;
    let checks = [
        check(WindowId::HOUR, Window::HOUR, 5),
        check(WindowId::MONTH, Window::Month, 5),
        check(WindowId::of_key(3, Window::DAY), Window::DAY, 5),
        sliding("query", 60, 5),
    ];
    let mut slots = BTreeSet::new();

    for subject in [fresh_subject(), Subject::User(UserId::new(NOW))] {
        let verdict = engine.decide(&ask(&subject, &checks, NOW)).await.unwrap();
        assert!(matches!(verdict, Verdict::Admitted(_)));
        engine.forget(&subject).await.unwrap();
        let mut of_subject = vec![];
        for node in &cluster.nodes {
            let mut connection = node.connection().await;
            let keys = redis::cmd("KEYS").arg(format!("*{subject}*")).to_owned();
            let keys: Vec<String> = keys.query_async(&mut connection).await.unwrap();
            for key in keys {
                let mut slot = redis::cmd("CLUSTER");
                slot.arg("KEYSLOT").arg(key);
                let slot: u16 = slot.query_async(&mut connection).await.unwrap();
                of_subject.push(slot);
            }
        }

        assert_eq!(of_subject.len(), checks.len() + 1, "with the standing");
        slots.insert(of_subject[0]);
        assert!(of_subject.iter().all(|slot| *slot == of_subject[0]));
    }

    assert_eq!(slots.len(), 2);
}
