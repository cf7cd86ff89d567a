//! What dies in the middle, or does not answer: nothing is lost, nothing is there twice, and nobody
//! who signs in notices.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use turnpike_local::Engine;
use turnpike_shared::audit::Verdict;
use turnpike_shared::stores::AuditOutboxKey;

use super::{OwnLog, T, logged, outbox, place, verify, writer_at};
use crate::limits::engines::client_at;
use crate::support::{Account, Call, Fault, FaultProxy, LastCall, OwnEngine, PASSWORD, TestStack};

const NEW: &str = "grey-otter-lantern-42";

/// Chains or sweeps through a proxy behind which the writer dies at its n-th call, for every n.
async fn die_at_every_call(sweeps: bool, death: LastCall) {
    let own = OwnLog::start().await;
    // From here on a sweep looks at three hours.
    own.writer.sweep(T).await.unwrap();
    let (mut left, mut died) = (vec![], 0);
    loop {
        // More than one write takes, so that some die between two of them.
        let entries = own.leave(60).await;
        let places: Vec<AuditOutboxKey> = entries.iter().map(place).collect();
        left.extend(entries);
        let proxy = FaultProxy::start(&own.engine).await;
        proxy.set(Fault::DeadAfter(died, death));
        let writer = writer_at(&proxy.endpoint);
        let is_alive = {
            let work = async {
                if sweeps {
                    writer.sweep(T).await
                } else {
                    writer.chain(&places).await
                }
            };
            tokio::select! {
                chained = work => {
                    chained.unwrap();
                    true
                }
                () = proxy.death() => false,
            }
        };

        own.writer.chain(&places).await.unwrap();

        let mut all = logged(&own.log).await;
        all.sort_by_key(|entry| entry.id);
        left.sort_by_key(|entry| entry.id);
        assert_eq!(all, left, "died at call {died}");
        assert_eq!(own.left().await, 0);
        let sound = Verdict {
            entries: all.len() as u64,
            broken: None,
        };
        assert_eq!(verify(&own.log).await, sound);
        if is_alive {
            break;
        }
        died += 1;
    }
    assert!(died >= 6, "two writes of three calls each, and more");
}

#[tokio::test]
async fn a_writer_that_dies_before_any_of_its_calls_is_done_loses_and_doubles_nothing() {
    die_at_every_call(false, LastCall::NeverSent).await;
}

#[tokio::test]
async fn a_writer_that_dies_before_any_of_its_answers_loses_and_doubles_nothing() {
    die_at_every_call(false, LastCall::CarriedOut).await;
}

#[tokio::test]
async fn a_sweep_that_dies_at_any_of_its_calls_loses_and_doubles_nothing() {
    for death in [LastCall::NeverSent, LastCall::CarriedOut] {
        die_at_every_call(true, death).await;
    }
}

async fn login_status(stack: &TestStack, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    let call = stack.post("/api/v1/auth/login").json(&body);
    call.send().await.status
}

/// All that the changes below would change.
async fn state(stack: &TestStack, of: &Account) -> Value {
    let get = async |path: &str| {
        let call = stack.get(path).bearer(&of.access_token);
        call.send().await.body
    };
    json!({
        "sessions": get("/api/v1/auth/sessions").await,
        "keys": get("/api/v1/users/api-keys").await,
        "user": get("/api/v1/users/me").await,
        "eve": login_status(stack, "eve@example.com", PASSWORD).await,
        "new password": login_status(stack, "ada@example.com", NEW).await,
    })
}

/// Every change that a user can ask for without a mail.
async fn changes(stack: &TestStack, ada: &Account) -> Vec<(&'static str, Call)> {
    let other = stack.login("ada@example.com").await;
    let reused = stack.login("ada@example.com").await;
    let token = json!({"refresh_token": reused.refresh_token});
    let refreshed = stack.post("/api/v1/auth/refresh").json(&token).send().await;
    assert_eq!(refreshed.status, 200);
    let key = stack.make_key(ada, json!({})).await;
    let (auth, bearer) = ("/api/v1/auth", ada.access_token.as_str());
    let eve = json!({"email": "eve@example.com", "password": PASSWORD});
    let again = json!({"email": "ada@example.com", "password": PASSWORD});
    let passwords = json!({"current_password": PASSWORD, "new_password": NEW});
    let post = |path: &str| stack.post(&format!("{auth}/{path}"));
    let end = format!("{auth}/sessions/{}", other.session_id);
    let rotate = format!("{}/rotate", key.path());
    let name = json!({"name": "Mine"});
    let calls = [
        ("register", post("register").json(&eve)),
        ("login", post("login").json(&again)),
        ("reuse", post("refresh").json(&token)),
        ("logout", post("logout").bearer(&other.access_token)),
        ("logout-all", post("logout-all").bearer(bearer)),
        ("end", stack.delete(&end).bearer(bearer)),
    ];
    let of_users = [
        (
            "password",
            stack
                .put(&format!("{auth}/password/change"))
                .json(&passwords),
        ),
        (
            "rename",
            stack
                .patch("/api/v1/users/me")
                .json(&json!({"full_name": "Ada"})),
        ),
        ("make", stack.post("/api/v1/users/api-keys").json(&name)),
        ("change", stack.patch(&key.path()).json(&name)),
        ("rotate", stack.post(&rotate).json(&json!({}))),
        ("revoke", stack.delete(&key.path())),
    ];
    let of_users = of_users
        .into_iter()
        .map(|(what, call)| (what, call.bearer(bearer)));
    calls.into_iter().chain(of_users).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_made_whose_entry_cannot_be_written() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await;
    let ada = stack.register("ada@example.com").await;
    let changes = changes(&stack, &ada).await;
    stack.pass(Duration::from_secs(11));
    let before = state(&stack, &ada).await;

    for (what, change) in changes {
        proxy.set(Fault::Throttle("AUDIT#".to_owned()));
        let answer = change.send().await;
        proxy.set(Fault::None);

        assert_eq!(answer.status, 503, "{what}: {}", answer.text);
        assert_eq!(state(&stack, &ada).await, before, "{what}");
    }

    let left = outbox(&client_at(&engine.endpoint())).await;
    // The sign-ins that failed above are told of when their minute is over, which it may be by now.
    let is_change = |entry: &&AttributeValue| {
        let action = &entry.as_m().unwrap()["action"];
        action.as_s().unwrap() != "sign-ins-failed"
    };
    let changes = left.iter().filter(is_change).count();
    assert_eq!(changes, 4, "one registration, two sign-ins, one key");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_signs_in_waits_for_a_writer_that_hangs_and_nothing_is_lost_meanwhile() {
    let engine = OwnEngine::start().await;
    let stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    stack.register("ada@example.com").await;
    let client = client_at(&engine.endpoint());
    let proxy = FaultProxy::start(&engine).await;
    proxy.set(Fault::Silence);
    let hanging = writer_at(&proxy.endpoint);
    let now = stack.now();
    let hang = tokio::spawn(async move { hanging.sweep(now).await.is_err() });

    let started = Instant::now();
    for _ in 0..3 {
        stack.login("ada@example.com").await;
    }
    let took = started.elapsed();

    assert!(
        took < Duration::from_secs(10),
        "three sign-ins took {took:?}"
    );
    assert_eq!(outbox(&client).await.len(), 4);
    hang.abort();
    let writer = writer_at(&engine.endpoint());
    let swept = writer.sweep(stack.now()).await.unwrap();
    assert_eq!((swept.entries, outbox(&client).await.len()), (4, 0));
}
