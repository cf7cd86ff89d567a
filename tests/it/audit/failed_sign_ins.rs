//! Sign-ins that fail are told by the minute, and nobody waits for that.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_local::Engine;

use super::{outbox, settled_log, writer_at};
use crate::limits::engines::client_at;
use crate::support::{Fault, FaultProxy, OwnEngine, PASSWORD, TestStack};

const MINUTE: Duration = Duration::from_mins(1);

async fn fail(stack: &TestStack, email: &str) -> u16 {
    let body = json!({"email": email, "password": "not-the-password"});
    let call = stack.post("/api/v1/auth/login").json(&body);
    call.send().await.status
}

async fn told(stack: &TestStack) -> Vec<Value> {
    let mut log = settled_log(stack).await;
    log.retain(|entry| entry["action"] == "sign-ins-failed");
    log
}

/// Moves the stack's time to just behind the begin of a minute, so that a test lies within one.
fn begin_a_minute(stack: &TestStack) {
    let into = stack.now().millis().rem_euclid(60_000);
    stack.pass(Duration::from_millis((60_000 - into).try_into().unwrap()));
}

#[tokio::test]
async fn the_failures_of_a_minute_are_one_entry_that_tells_them_apart_by_limits_alone() {
    let stack = TestStack::start_as(|options| turnpike_local::Options {
        policy: None,
        ..options
    })
    .await;
    stack.register("ada@example.com").await;
    let gone = stack.register("gone@example.com").await;
    stack.deactivate(&gone.id).await;
    begin_a_minute(&stack);
    let minute = stack.now().to_string();

    let mut statuses = vec![
        fail(&stack, "nobody@example.com").await,
        fail(&stack, "gone@example.com").await,
    ];
    for _ in 0..6 {
        statuses.push(fail(&stack, "ada@example.com").await);
    }
    let before_its_end = told(&stack).await;
    stack.pass(MINUTE);
    let told = told(&stack).await;

    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 401, 429]);
    assert_eq!(before_its_end, [] as [Value; 0]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["actor"], "anonymous");
    assert_eq!(told[0]["target"], "sign-in");
    let minute = format!("{}:00Z", &minute[..16]);
    let expected = json!({"minute": minute, "refused": 7, "rate_limited": 1});
    assert_eq!(told[0]["details"], expected);
}

#[tokio::test]
async fn a_sign_in_that_succeeds_and_other_refusals_are_not_counted() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    begin_a_minute(&stack);

    stack.login("ada@example.com").await;
    assert_eq!(fail(&stack, "no address").await, 422);
    let token = json!({"refresh_token": "tpr_none"});
    let refresh = stack.post("/api/v1/auth/refresh").json(&token).send().await;
    let body = json!({"current_password": "wrong", "new_password": PASSWORD});
    let change = stack.put("/api/v1/auth/password/change").json(&body);
    let change = change.bearer(&ada.access_token).send().await;
    stack.pass(MINUTE);

    assert_eq!((refresh.status, change.status), (401, 403));
    assert_eq!(told(&stack).await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_writing_nobody_confirmed_is_chained_once_and_sign_ins_go_on() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await;
    stack.register("ada@example.com").await;
    let client = client_at(&engine.endpoint());
    let writer = writer_at(&engine.endpoint());
    writer.sweep(stack.now()).await.unwrap();
    begin_a_minute(&stack);
    assert_eq!(fail(&stack, "ada@example.com").await, 401);

    // Written, and nobody is told.
    proxy.set(Fault::LoseAnswer("sign-ins-failed".to_owned()));
    stack.pass(MINUTE);
    stack.stack.settle().await.unwrap();
    stack.login("ada@example.com").await;
    let chained = writer.sweep(stack.now()).await.unwrap().entries;
    proxy.set(Fault::None);
    stack.stack.settle().await.unwrap();

    let left = outbox(&client).await.len();
    assert_eq!((chained, left), (2, 0), "the failure and the sign-in");
}

#[tokio::test]
async fn the_running_minute_is_told_when_the_process_ends() {
    let engine = OwnEngine::start().await;
    let stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    let client = client_at(&engine.endpoint());
    assert_eq!(fail(&stack, "nobody@example.com").await, 401);

    stack.stack.stop().await;

    assert_eq!(outbox(&client).await.len(), 1);
}
