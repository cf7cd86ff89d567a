//! What becomes of records, and of requests, while the usage table does not do as it should.

use std::time::{Duration, Instant};

use turnpike_local::Engine;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::Environment;
use turnpike_shared::stores::DynamoDb;
use turnpike_shared::usage::UsageRecord;
use turnpike_shared::usage_recorder::UsageRecorder;

use super::{batches, records};
use crate::support::{Fault, FaultProxy, OwnEngine, TestStack, client_at};

const ME: &str = "/api/v1/auth/me";
const USAGE_TABLE: &str = "UsageTable";

async fn stack_at(proxy: &FaultProxy) -> TestStack {
    TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await
}

/// A recorder of the test's own, which nobody flushes but the test.
fn recorder_at(endpoint: &str) -> UsageRecorder {
    let env = Environment::default()
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
        .with("TURNPIKE_USAGE_TABLE", USAGE_TABLE);
    let dynamodb = DynamoDb::from_environment(&env).unwrap();
    UsageRecorder::from_environment(&env, &dynamodb, Clock::system()).unwrap()
}

fn record(number: i64) -> UsageRecord {
    UsageRecord {
        at: Timestamp::from_millis(1_795_207_380_000 + number),
        caller: None,
        method: "GET".into(),
        path: ME.into(),
        status: 200,
        duration_ms: 1,
        charged: 1,
    }
}

fn numbers(records: &[UsageRecord]) -> Vec<i64> {
    let number = |record: &UsageRecord| record.at.millis() - 1_795_207_380_000;
    records.iter().map(number).collect()
}

#[tokio::test]
async fn a_table_that_hangs_keeps_no_request_waiting_and_nothing_is_lost() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_at(&proxy).await;
    let ada = stack.register("ada@example.com").await;
    stack.stack.recorder.flush().await;
    proxy.set(Fault::Hold(USAGE_TABLE.into()));

    let started = Instant::now();
    for _ in 0..60 {
        let answer = stack.get(ME).bearer(&ada.access_token).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let took = started.elapsed();
    let waiting = stack.stack.recorder.unwritten();
    proxy.set(Fault::None);
    stack.stack.recorder.flush().await;

    // Each would have waited for the write that it made due, or its own.
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(waiting > 0, "nothing could be written");
    assert_eq!(records(&client_at(&engine.endpoint())).await.len(), 61);
}

#[tokio::test]
async fn records_that_cannot_be_written_are_kept_up_to_a_bound_and_the_newest_are_written_later() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_at(&proxy).await;
    let recorder = recorder_at(&proxy.endpoint);
    proxy.set(Fault::Failure);

    for number in 0..100 {
        recorder.record(record(number));
    }
    recorder.flush().await;
    for number in 100..2_600 {
        recorder.record(record(number));
    }
    recorder.flush().await;
    let (waiting, lost) = (recorder.unwritten(), recorder.lost());
    proxy.set(Fault::None);
    recorder.flush().await;

    assert_eq!(
        (waiting, lost),
        (1_100, 1_500),
        "the first batch keeps its place"
    );
    assert_eq!((recorder.unwritten(), recorder.lost()), (0, 1_500));
    let client = client_at(&engine.endpoint());
    let expected: Vec<i64> = (0..100).chain(1_600..2_600).collect();
    assert_eq!(numbers(&records(&client).await), expected);
    drop(stack);
}

#[tokio::test]
async fn a_write_that_happened_and_said_that_it_failed_is_not_doubled() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let _stack = stack_at(&proxy).await;
    let recorder = recorder_at(&proxy.endpoint);
    recorder.record(record(0));
    recorder.record(record(1));

    proxy.set(Fault::LoseAnswer(USAGE_TABLE.into()));
    recorder.flush().await;
    recorder.record(record(2));
    let after_the_first = (recorder.unwritten(), written(&engine).await);
    recorder.flush().await;
    let after_the_second = (recorder.unwritten(), written(&engine).await);
    proxy.set(Fault::None);
    recorder.flush().await;

    assert_eq!(after_the_first, (3, vec![0, 1]), "written, and still held");
    assert_eq!(after_the_second, (3, vec![0, 1]));
    assert_eq!(
        (recorder.unwritten(), written(&engine).await),
        (0, vec![0, 1, 2])
    );
    let client = client_at(&engine.endpoint());
    assert_eq!(batches(&client).await.len(), 2);
}

async fn written(engine: &OwnEngine) -> Vec<i64> {
    numbers(&records(&client_at(&engine.endpoint())).await)
}

#[tokio::test]
async fn a_flush_that_is_given_up_in_the_middle_is_taken_up_by_the_next() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let _stack = stack_at(&proxy).await;
    let recorder = recorder_at(&proxy.endpoint);
    recorder.record(record(0));
    proxy.set(Fault::Silence);

    let given_up = tokio::time::timeout(Duration::from_millis(20), recorder.flush()).await;
    let waiting = recorder.unwritten();
    proxy.set(Fault::None);
    recorder.flush().await;

    assert!(given_up.is_err());
    assert_eq!(waiting, 1);
    assert_eq!(written(&engine).await, [0]);
}

#[tokio::test]
async fn what_the_table_refuses_for_good_does_not_keep_the_rest_from_being_written() {
    let engine = OwnEngine::start().await;
    // No stack has made the tables yet.
    let recorder = recorder_at(&engine.endpoint());
    recorder.record(record(0));

    recorder.flush().await;
    let after_the_refusal = (recorder.unwritten(), recorder.lost());
    let _stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    recorder.record(record(1));
    recorder.flush().await;

    assert_eq!(after_the_refusal, (0, 1));
    assert_eq!(written(&engine).await, [1]);
}
