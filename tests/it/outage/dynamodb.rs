//! DynamoDB away, slow, throttling and in conflict, for a stack without Valkey.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use turnpike_local::Options;

use super::{SLACK, me, stack_with_budgets};
use crate::support::{Fault, FaultProxy, OwnEngine, PASSWORD};

#[tokio::test]
async fn an_open_class_waives_limits_for_credentials_confirmed_lately_and_never_identity() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let seen = stack.register("seen@example.com").await;
    let unseen = stack.register("unseen@example.com").await;
    assert_eq!(me(&stack, &seen.access_token).await.status, 200);

    proxy.set(Fault::Failure);

    let waived = me(&stack, &seen.access_token).await;
    assert_eq!(waived.status, 200, "{}", waived.text);
    assert_eq!(waived.header("turnpike-degraded"), "dynamodb");
    assert_eq!(waived.header("ratelimit"), "");
    let unchecked = me(&stack, &unseen.access_token).await;
    unchecked.assert_problem(503, "auth-unavailable");
    assert_eq!(unchecked.header("retry-after"), "1");
    me(&stack, "junk")
        .await
        .assert_problem(401, "unauthenticated");

    stack.pass(Duration::from_secs(30));
    let too_long_ago = me(&stack, &seen.access_token).await;
    too_long_ago.assert_problem(503, "auth-unavailable");

    proxy.set(Fault::None);
    let back = me(&stack, &unseen.access_token).await;
    assert_eq!((back.status, back.header("turnpike-degraded")), (200, ""));
}

#[tokio::test]
async fn a_closed_class_lets_nothing_pass() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let account = stack.register("ada@example.com").await;

    proxy.set(Fault::Failure);

    let cases = [
        (
            "login",
            json!({"email": "ada@example.com", "password": PASSWORD}),
        ),
        (
            "register",
            json!({"email": "bob@example.com", "password": PASSWORD}),
        ),
        ("refresh", json!({"refresh_token": account.refresh_token})),
    ];
    for (route, body) in cases {
        let call = stack.post(&format!("/api/v1/auth/{route}")).json(&body);
        let answer = call.send().await;
        answer.assert_problem(503, "service-unavailable");
        assert_eq!(answer.header("retry-after"), "1", "{route}");
        assert_eq!(answer.header("turnpike-degraded"), "dynamodb", "{route}");
    }
}

#[tokio::test]
async fn a_local_class_is_limited_by_the_process_alone() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let mut policy = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let generous =
        std::fs::read_to_string(crate::support::root().join("tests/it/support/generous.toml"))
            .unwrap();
    write!(
        policy,
        "{generous}\n[classes.default]\nlimits = [{{ name = \"burst\", rate = \"5/minute\" }}]\non_outage = \"local\"\n"
    )
    .unwrap();
    let path = policy.path().to_owned();
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| Options {
        policy: Some(path),
        ..options
    })
    .await;
    let account = stack.register("ada@example.com").await;
    assert_eq!(me(&stack, &account.access_token).await.status, 200);

    proxy.set(Fault::Failure);

    for _ in 0..5 {
        assert_eq!(me(&stack, &account.access_token).await.status, 200);
    }
    let sixth = me(&stack, &account.access_token).await;
    assert_eq!(sixth.status, 429, "{}", sixth.text);
    assert_eq!(sixth.body["violated-policies"], json!(["burst"]));
}

#[tokio::test]
async fn nobody_waits_longer_than_the_budget_for_a_database_that_does_not_answer() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let account = stack.register("ada@example.com").await;
    assert_eq!(me(&stack, &account.access_token).await.status, 200);

    proxy.set(Fault::Silence);

    let started = Instant::now();
    let answer = me(&stack, &account.access_token).await;
    let took = started.elapsed();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(
        took >= Duration::from_millis(250),
        "the database was asked: {took:?}"
    );
    assert!(took < Duration::from_millis(250) + SLACK, "{took:?}");
    proxy.set(Fault::None);
}

#[tokio::test]
async fn who_throttles_their_own_item_is_refused_and_nobody_else_is() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let busy = stack.register("busy@example.com").await;
    let other = stack.register("other@example.com").await;
    assert_eq!(me(&stack, &busy.access_token).await.status, 200);

    proxy.set(Fault::Throttle(format!("USER#{}", busy.id)));

    let refused = me(&stack, &busy.access_token).await;
    refused.assert_problem(429, "throttled");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("turnpike-degraded"), "", "that is no outage");
    assert_eq!(me(&stack, &other.access_token).await.status, 200);
    proxy.set(Fault::None);
    assert_eq!(me(&stack, &busy.access_token).await.status, 200);
}

#[tokio::test]
async fn a_request_waits_for_transactions_on_its_item_and_is_let_in() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let account = stack.register("ada@example.com").await;
    assert_eq!(me(&stack, &account.access_token).await.status, 200);

    proxy.set(Fault::Conflicts("UpdateItem", 5));
    let asked = me(&stack, &account.access_token).await;

    assert_eq!(asked.status, 200, "{}", asked.text);
    assert_eq!(
        proxy.left(),
        Fault::Conflicts("UpdateItem", 0),
        "every conflict was met"
    );
}

#[tokio::test]
async fn an_item_in_conflict_for_good_is_a_refusal_within_the_budget() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let account = stack.register("ada@example.com").await;
    assert_eq!(me(&stack, &account.access_token).await.status, 200);

    proxy.set(Fault::Conflicts("UpdateItem", usize::MAX));
    let began = Instant::now();
    let refused = me(&stack, &account.access_token).await;

    refused.assert_problem(429, "throttled");
    assert_eq!(refused.header("retry-after"), "1");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(250) + SLACK, "{took:?}");
}

#[tokio::test]
async fn a_transaction_in_conflict_is_tried_again_until_it_is_through() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| options).await;
    let account = stack.register("ada@example.com").await;

    proxy.set(Fault::Conflicts("TransactWriteItems", 4));
    let all = stack
        .post("/api/v1/auth/logout-all")
        .bearer(&account.access_token);
    let answer = all.send().await;

    assert_eq!(answer.status, 204, "{}", answer.text);
    assert_eq!(
        proxy.left(),
        Fault::Conflicts("TransactWriteItems", 0),
        "every conflict was met"
    );
    assert_eq!(stack.me_status(&account.access_token).await, 401);
}
