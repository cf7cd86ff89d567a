//! What is DynamoDB's own: instances whose views are old, what a request costs in calls, and an item
//! that does not grow.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::{Check, Reading, Subject, Verdict, Window, WindowId};
use turnpike_shared::stores::DynamoDbEngine;

use super::engines::{
    ADMISSION_TABLE, ask, check, client_at, dynamodb_engine_at, fresh_subject, sliding,
    start_tables,
};
use crate::support::CountingProxy;

const NOW: Timestamp = Timestamp::from_millis(1_795_207_380_000);

async fn is_admitted(
    engine: &DynamoDbEngine,
    subject: &Subject,
    checks: &[Check],
    now: Timestamp,
) -> bool {
    let verdict = engine.decide(&ask(subject, checks, now)).await;
    matches!(verdict.unwrap(), Verdict::Admitted(_))
}

#[tokio::test]
async fn a_request_costs_one_call_and_two_when_another_instance_moved_a_window_on() {
    let tables = start_tables().await;
    let proxy = CountingProxy::start(&tables).await;
    let engine = dynamodb_engine_at(&proxy.endpoint);
    let elsewhere = dynamodb_engine_at(&tables.endpoint());
    let subject = fresh_subject();
    let checks = [
        sliding("a", 60, 50),
        check(WindowId::HOUR, Window::HOUR, 50),
    ];
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert!(is_admitted(&elsewhere, &subject, &checks, NOW).await);
    let mut costs = vec![];

    for (seconds, moved_elsewhere) in [(0, false), (0, false), (1, false), (2, true), (2, false)] {
        if moved_elsewhere {
            assert!(is_admitted(&elsewhere, &subject, &checks, after(seconds)).await);
        }
        let before = proxy.calls();
        is_admitted(&engine, &subject, &checks, after(seconds)).await;
        costs.push(proxy.calls() - before);
    }

    assert_eq!(costs, [2, 1, 1, 2, 1]);
}

/// Counts one request, and says where.
async fn counted(
    engine: &DynamoDbEngine,
    subject: &Subject,
    check: &Check,
    now: Timestamp,
) -> (Check, Reading) {
    let checks = std::slice::from_ref(check);
    let verdict = engine.decide(&ask(subject, checks, now)).await;
    let Ok(Verdict::Admitted(readings)) = verdict else {
        panic!("there is room");
    };
    (check.clone(), readings[0])
}

#[tokio::test]
async fn a_refund_finds_its_bucket_although_the_instance_saw_an_older_one_last() {
    let tables = start_tables().await;
    let instances = [(); 2].map(|()| dynamodb_engine_at(&tables.endpoint()));
    let subject = fresh_subject();
    let check = sliding("a", 60, 5);
    counted(&instances[0], &subject, &check, NOW).await;
    let later = NOW.plus(Duration::from_secs(1));
    let request = counted(&instances[1], &subject, &check, later).await;

    instances[0].refund(&subject, &[request]).await.unwrap();

    let readings = instances[0].look(&subject, &[check], later).await.unwrap();
    assert_eq!(readings[0].used, 1);
}

#[tokio::test]
async fn a_refund_that_an_instance_has_not_seen_makes_room_once() {
    let tables = start_tables().await;
    let instances = [(); 2].map(|()| dynamodb_engine_at(&tables.endpoint()));
    let subject = fresh_subject();
    let check = sliding("a", 60, 10);
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    let dear = Check {
        cost: 5,
        ..check.clone()
    };
    let refunded = counted(&instances[0], &subject, &dear, NOW).await;
    counted(&instances[0], &subject, &check, after(1)).await;

    instances[1].refund(&subject, &[refunded]).await.unwrap();
    let (_, moved) = counted(&instances[0], &subject, &check, after(2)).await;
    let (_, left) = counted(&instances[0], &subject, &check, after(61)).await;

    assert_eq!((moved.used, left.used), (2, 3));
}

#[tokio::test]
async fn windows_out_of_use_are_cleared_away_on_the_way() {
    let tables = start_tables().await;
    let proxy = CountingProxy::start(&tables).await;
    let engine = dynamodb_engine_at(&proxy.endpoint);
    let subject = fresh_subject();
    let old = [sliding("old", 60, 5), sliding("older", 61, 5)];
    let new = [sliding("new", 60, 5)];
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert!(is_admitted(&engine, &subject, &old, NOW).await);
    let before = proxy.calls();

    assert!(is_admitted(&engine, &subject, &new, after(600)).await);
    assert!(is_admitted(&engine, &subject, &new, after(601)).await);

    assert_eq!(proxy.calls() - before, 2);
    let item = client_at(&tables.endpoint())
        .get_item()
        .table_name(ADMISSION_TABLE)
        .key("pk", AttributeValue::S(subject.to_string()))
        .key("sk", AttributeValue::S("ADMISSION".to_owned()))
        .send()
        .await
        .unwrap();
    let item = item.item.unwrap();
    let mut names: Vec<&str> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    let of_new = ["new.60.i", "new.60.n", "new.60.p", "new.60.q", "new.60.s"];
    assert_eq!(names, [&of_new[..], &["pk", "sk", "ttl"]].concat());
}
