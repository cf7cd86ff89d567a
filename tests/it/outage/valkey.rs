//! Valkey killed, silent, empty and old, under a stack that decides with it.

use std::time::{Duration, Instant};

use serde_json::json;
use turnpike_local::Options;

use super::{SLACK, me, stack_with_budgets, until};
use crate::support::{
    Answer, Fault, FaultProxy, OldData, OwnEngine, PATIENT, RedisServer, TestStack,
};

async fn stack_on(engine: &OwnEngine, redis: &RedisServer) -> TestStack {
    let url = redis.address().url;
    stack_with_budgets(engine.endpoint(), |options| Options {
        valkey: Some(url),
        ..options
    })
    .await
}

/// A stack for which a busy machine is no outage: only a server that is gone is.
async fn patient_stack_on(engine: &OwnEngine, redis: &RedisServer) -> TestStack {
    let url = redis.address().url;
    stack_with_budgets(engine.endpoint(), |options| Options {
        valkey: Some(url),
        budgets: PATIENT,
        ..options
    })
    .await
}

fn is_decided_by_valkey(answer: &Answer) -> bool {
    answer.header("turnpike-degraded").is_empty()
}

async fn valkey_is_back(stack: &TestStack, token: &str) -> Answer {
    let ask = async || me(stack, token).await;
    until("Valkey is used again", ask, is_decided_by_valkey).await
}

#[tokio::test]
async fn requests_go_on_while_valkey_dies_and_come_back_to_it_by_themselves() {
    let engine = OwnEngine::start().await;
    let mut redis = RedisServer::start().await;
    let stack = patient_stack_on(&engine, &redis).await;
    let account = stack.register("ada@example.com").await;
    let before = me(&stack, &account.access_token).await;
    assert_eq!(
        (before.status, before.header("turnpike-degraded")),
        (200, "")
    );

    redis.kill().await;

    let during = me(&stack, &account.access_token).await;
    assert_eq!(
        (during.status, during.header("turnpike-degraded")),
        (200, "valkey")
    );

    redis.restart(OldData::Lost).await;
    let after = valkey_is_back(&stack, &account.access_token).await;
    assert_eq!(after.status, 200);
}

#[tokio::test]
async fn nobody_waits_longer_than_both_budgets_for_stores_that_do_not_answer() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let redis = RedisServer::start().await;
    let url = redis.address().url;
    let stack = stack_with_budgets(proxy.endpoint.clone(), |options| Options {
        valkey: Some(url),
        ..options
    })
    .await;
    let account = stack.register("ada@example.com").await;
    assert_eq!(me(&stack, &account.access_token).await.status, 200);

    redis.pause();
    let started = Instant::now();
    let without_valkey = me(&stack, &account.access_token).await;
    let took = started.elapsed();
    proxy.set(Fault::Silence);
    let started = Instant::now();
    let without_both = me(&stack, &account.access_token).await;
    let took_both = started.elapsed();

    assert_eq!(
        (
            without_valkey.status,
            without_valkey.header("turnpike-degraded")
        ),
        (200, "valkey")
    );
    assert_eq!(without_both.status, 200, "{}", without_both.text);
    assert_eq!(without_both.header("turnpike-degraded"), "valkey, dynamodb");
    assert!(took < Duration::from_millis(300) + SLACK, "{took:?}");
    assert!(
        took_both < Duration::from_millis(300) + SLACK,
        "{took_both:?}"
    );
    proxy.set(Fault::None);
    redis.resume();
    valkey_is_back(&stack, &account.access_token).await;
}

#[tokio::test]
async fn what_is_admitted_across_the_switch_is_at_most_twice_the_limit() {
    let engine = OwnEngine::start().await;
    let mut redis = RedisServer::start().await;
    let url = redis.address().url;
    let stack = stack_with_budgets(engine.endpoint(), |options| Options {
        valkey: Some(url),
        policy: None,
        budgets: PATIENT,
        ..options
    })
    .await;
    let account = stack.register("ada@example.com").await;
    let admitted = async || {
        let mut admitted = 0;
        loop {
            match me(&stack, &account.access_token).await.status {
                200 => admitted += 1,
                429 => return admitted,
                status => panic!("{status}"),
            }
        }
    };

    let on_valkey = admitted().await;
    redis.kill().await;
    // What was refused is refused from memory for a second.
    stack.pass(Duration::from_secs(1));
    let on_dynamodb = admitted().await;

    assert_eq!(on_valkey, 100, "the hour's limit of the tier free");
    assert_eq!(on_dynamodb, 100, "and no more than as much again");
}

#[tokio::test]
async fn a_revocation_during_the_outage_holds_on_every_instance_once_valkey_is_back() {
    let engine = OwnEngine::start().await;
    let redis = RedisServer::start().await;
    let here = stack_on(&engine, &redis).await;
    let url = redis.address().url;
    let elsewhere = stack_with_budgets(engine.endpoint(), |options| Options {
        valkey: Some(url),
        env: options.env.with("TURNPIKE_ISSUER", here.base.clone()),
        ..options
    })
    .await;
    let account = here.register("ada@example.com").await;
    let revoked = here.login("ada@example.com").await;
    until(
        "a copy is there",
        async || me(&elsewhere, &revoked.access_token).await,
        |answer| answer.status == 200 && is_decided_by_valkey(answer),
    )
    .await;

    redis.pause();
    let logout = here
        .post("/api/v1/auth/logout")
        .bearer(&revoked.access_token);
    let logout = logout.send().await;
    let at_once = me(&here, &revoked.access_token).await;
    redis.resume();
    valkey_is_back(&here, &account.access_token).await;
    let there = me(&elsewhere, &revoked.access_token).await;

    assert_eq!(logout.status, 204, "{}", logout.text);
    assert_eq!(logout.header("turnpike-degraded"), "valkey, revocation");
    at_once.assert_problem(401, "unauthenticated");
    there.assert_problem(401, "unauthenticated");
    assert_eq!(me(&elsewhere, &account.access_token).await.status, 200);
}

#[tokio::test]
async fn a_valkey_that_comes_back_old_or_empty_brings_nothing_revoked_back() {
    for data in [OldData::Kept, OldData::Lost] {
        let engine = OwnEngine::start().await;
        let mut redis = RedisServer::start().await;
        let stack = patient_stack_on(&engine, &redis).await;
        let account = stack.register("ada@example.com").await;
        let revoked = stack.login("ada@example.com").await;
        assert_eq!(me(&stack, &revoked.access_token).await.status, 200);
        redis.save().await;
        let logout = stack
            .post("/api/v1/auth/logout")
            .bearer(&revoked.access_token);
        assert_eq!(logout.send().await.status, 204);

        redis.kill().await;
        let meanwhile = me(&stack, &revoked.access_token).await;
        redis.restart(data).await;
        valkey_is_back(&stack, &account.access_token).await;
        let after = me(&stack, &revoked.access_token).await;

        meanwhile.assert_problem(401, "unauthenticated");
        after.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_new_instance_does_not_trust_what_an_old_valkey_brings_back() {
    let engine = OwnEngine::start().await;
    let mut redis = RedisServer::start().await;
    let stack = patient_stack_on(&engine, &redis).await;
    let revoked = stack.register("ada@example.com").await;
    assert_eq!(me(&stack, &revoked.access_token).await.status, 200);
    redis.save().await;
    let all = stack
        .post("/api/v1/auth/logout-all")
        .bearer(&revoked.access_token);
    assert_eq!(all.send().await.status, 204);
    redis.kill().await;
    redis.restart(OldData::Kept).await;

    let url = redis.address().url;
    let new = stack_with_budgets(engine.endpoint(), |options| Options {
        valkey: Some(url),
        budgets: PATIENT,
        env: options.env.with("TURNPIKE_ISSUER", stack.base.clone()),
        ..options
    })
    .await;

    me(&new, &revoked.access_token)
        .await
        .assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_stack_starts_without_its_valkey_and_finds_it_later() {
    let engine = OwnEngine::start().await;
    let mut redis = RedisServer::start().await;
    redis.kill().await;

    let stack = patient_stack_on(&engine, &redis).await;
    let account = stack.register("ada@example.com").await;
    let without = me(&stack, &account.access_token).await;
    redis.restart(OldData::Lost).await;
    let with = valkey_is_back(&stack, &account.access_token).await;

    assert_eq!(
        (without.status, without.header("turnpike-degraded")),
        (200, "valkey")
    );
    assert_eq!(with.status, 200);
    assert_eq!(with.body["user"]["email"], json!("ada@example.com"));
}
