//! `GET /health`, `/health/live`, `/health/ready`

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnpike_local::Options;

use crate::support::{Answer, OldData, RedisServer, TestStack};

/// How long an answer about a service is good for.
const FRESH: Duration = Duration::from_secs(5);

async fn stack_on(redis: &RedisServer) -> TestStack {
    let url = redis.address().url;
    TestStack::start_as(|options| Options {
        valkey: Some(url),
        ..options
    })
    .await
}

/// What `/health` says as soon as it may ask anew.
async fn health(stack: &TestStack) -> Answer {
    stack.pass(FRESH);
    stack.get("/health").send().await
}

/// The statuses of the service and of its Valkey, and why that is down.
fn told(report: &Value) -> [&Value; 3] {
    [
        &report["status"],
        &report["services"]["valkey"]["status"],
        &report["details"]["valkey"]["error_kind"],
    ]
}

/// How many `PING`s the server itself has counted.
async fn pings(redis: &RedisServer) -> u64 {
    let mut connection = redis.connection().await;
    let mut info = redis::cmd("INFO");
    let info = info.arg("commandstats");
    let stats: String = info.query_async(&mut connection).await.unwrap();
    let calls = stats.lines().find_map(|line| {
        let counts = line.strip_prefix("cmdstat_ping:calls=")?;
        counts.split(',').next()?.parse().ok()
    });
    calls.unwrap_or(0)
}

#[tokio::test]
async fn it_reports_every_service_under_both_paths() {
    let stack = TestStack::start().await;

    for path in ["/health", "/api/v1/health"] {
        let answer = stack.get(path).send().await;

        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["status"], "healthy");
        assert_eq!(answer.body["version"], turnpike_shared::VERSION);
        assert_eq!(answer.body["environment"], "testing");
        assert!(answer.body["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(answer.body["response_time_ms"].is_number());
        let services = &answer.body["services"];
        assert_eq!(services["dynamodb"]["status"], "up");
        assert!(services["dynamodb"]["latency_ms"].is_number());
        assert_eq!(services["valkey"]["status"], "disabled");
        assert_eq!(services["queue"]["status"], "disabled");
        assert_eq!(services["mail"]["status"], "up");
        assert!(
            answer.body["details"].is_object(),
            "open to everybody in the local stack"
        );
        assert_eq!(answer.body["details"]["valkey"], Value::Null);
    }
}

#[tokio::test]
async fn live_and_ready_answer_at_both_paths() {
    let stack = TestStack::start().await;

    for path in [
        "/health/live",
        "/health/ready",
        "/api/v1/health/live",
        "/api/v1/health/ready",
    ] {
        assert_eq!(stack.get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_valkey_that_dies_is_down_and_one_that_is_back_is_up() {
    let mut redis = RedisServer::start().await;
    let stack = stack_on(&redis).await;
    let (up, down) = (
        [&json!("healthy"), &json!("up"), &Value::Null],
        [&json!("degraded"), &json!("down"), &json!("unavailable")],
    );

    let before = stack.get("/health").send().await;
    assert_eq!(told(&before.body), up, "{}", before.text);
    assert!(before.body["services"]["valkey"]["latency_ms"].is_number());
    assert_eq!(before.body["details"]["valkey"]["cache"], Value::Null);

    redis.kill().await;
    let during = health(&stack).await;
    assert_eq!(during.status, 200);
    assert_eq!(told(&during.body), down, "{}", during.text);
    assert_eq!(during.body["services"]["valkey"]["latency_ms"], Value::Null);
    assert_eq!(during.body["services"]["dynamodb"]["status"], "up");
    let ready = stack.get("/health/ready").send().await;
    assert_eq!(ready.status, 200, "requests are answered without Valkey");

    redis.restart(OldData::Lost).await;
    let after = health(&stack).await;
    assert_eq!(told(&after.body), up, "{}", after.text);
}

#[tokio::test]
async fn a_valkey_that_was_restarted_while_nobody_asked_is_not_called_down() {
    let mut redis = RedisServer::start().await;
    let stack = stack_on(&redis).await;
    let before = stack.get("/health").send().await;
    assert_eq!(before.body["services"]["valkey"]["status"], "up");

    redis.restart(OldData::Lost).await;
    let after = health(&stack).await;

    assert_eq!(
        after.body["services"]["valkey"]["status"], "up",
        "{}",
        after.text
    );
    assert_eq!(after.body["details"]["valkey"]["failed_probes"], 0);
}

#[tokio::test]
async fn a_valkey_that_hangs_is_down_and_costs_no_more_than_a_few_seconds() {
    let redis = RedisServer::start().await;
    let stack = stack_on(&redis).await;
    let before = stack.get("/health").send().await;
    assert_eq!(before.body["services"]["valkey"]["status"], "up");

    redis.pause();
    let began = Instant::now();
    let during = health(&stack).await;
    let took = began.elapsed();
    redis.resume();
    let after = health(&stack).await;

    assert_eq!(
        told(&during.body)[1..],
        [&json!("down"), &json!("unavailable")]
    );
    // A second for the answer and one for another connection; the rest is for a busy machine.
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(
        after.body["services"]["valkey"]["status"], "up",
        "{}",
        after.text
    );
}

#[tokio::test]
async fn a_valkey_that_wants_another_sign_in_is_down_and_the_operator_is_told_why() {
    let redis = RedisServer::start().await;
    let mut connection = redis.connection().await;
    let mut password = redis::cmd("CONFIG");
    password.arg("SET").arg("requirepass").arg("plum-violin");
    password.exec_async(&mut connection).await.unwrap();
    let stack = stack_on(&redis).await;

    let report = stack.get("/health").send().await;

    let refused = [&json!("degraded"), &json!("down"), &json!("refused")];
    assert_eq!(told(&report.body), refused, "{}", report.text);
}

#[tokio::test]
async fn however_many_ask_valkey_is_asked_once_in_five_seconds() {
    let redis = RedisServer::start().await;
    let stack = stack_on(&redis).await;
    let ask_20_times = async || {
        let asking = (0..20).map(|_| stack.get("/health").send());
        for answer in futures_util::future::join_all(asking).await {
            assert_eq!(answer.body["services"]["valkey"]["status"], "up");
        }
        pings(&redis).await
    };

    let first = ask_20_times().await;
    stack.pass(FRESH);
    let second = ask_20_times().await;

    assert_eq!((first, second), (1, 2));
}
