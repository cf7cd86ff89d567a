//! What dies in the middle, or does not answer: nothing is lost, nothing is there twice, and nobody
//! who signs in notices.

use std::time::{Duration, Instant};

use serde_json::json;
use turnpike_local::Engine;
use turnpike_shared::audit::Verdict;
use turnpike_shared::stores::AuditOutboxKey;

use super::{OwnLog, T, logged, outbox, place, verify, writer_at};
use crate::limits::engines::client_at;
use crate::support::{Account, Fault, FaultProxy, LastCall, OwnEngine, PASSWORD, TestStack};

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

/// A change that somebody asks for, and what shows that it was not made.
struct Attempt {
    what: &'static str,
    status: u16,
    was_not_made: bool,
}

async fn login_status(stack: &TestStack, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    let call = stack.post("/api/v1/auth/login").json(&body);
    call.send().await.status
}

async fn sessions(stack: &TestStack, of: &Account) -> usize {
    let call = stack.get("/api/v1/auth/sessions").bearer(&of.access_token);
    let answer = call.send().await;
    answer.body["items"].as_array().map_or(0, Vec::len)
}

async fn keys(stack: &TestStack, of: &Account) -> serde_json::Value {
    let call = stack.get("/api/v1/users/api-keys").bearer(&of.access_token);
    call.send().await.body["items"].clone()
}

/// Asks for every change that a user can ask for, one after the other, while entries cannot be
/// written.
async fn attempt_everything(stack: &TestStack, proxy: &FaultProxy) -> Vec<Attempt> {
    let ada = stack.register("ada@example.com").await;
    let other = stack.login("ada@example.com").await;
    let reusing = stack.login("ada@example.com").await;
    let token = json!({"refresh_token": reusing.refresh_token});
    let refreshed = stack.post("/api/v1/auth/refresh").json(&token).send().await;
    assert_eq!(refreshed.status, 200);
    stack.pass(Duration::from_secs(11));
    let key = stack.make_key(&ada, json!({})).await;
    let (before, count) = (keys(stack, &ada).await, sessions(stack, &ada).await);
    let (bearer, base) = (ada.access_token.as_str(), "/api/v1/auth");
    let mut attempts = vec![];
    let mut note = |what, status, was_not_made| {
        let attempt = Attempt {
            what,
            status,
            was_not_made,
        };
        attempts.push(attempt);
    };

    let fail = || proxy.set(Fault::Throttle("AUDIT#".to_owned()));
    let heal = || proxy.set(Fault::None);

    fail();
    let body = json!({"email": "eve@example.com", "password": PASSWORD});
    let answer = stack.post("/api/v1/auth/register").json(&body).send().await;
    heal();
    let is_unknown = login_status(stack, "eve@example.com", PASSWORD).await == 401;
    note("register", answer.status, is_unknown);

    fail();
    let status = login_status(stack, "ada@example.com", PASSWORD).await;
    heal();
    note("login", status, sessions(stack, &ada).await == count);

    let ends = [
        (
            "logout",
            stack
                .post(&format!("{base}/logout"))
                .bearer(&other.access_token),
        ),
        (
            "logout-all",
            stack.post(&format!("{base}/logout-all")).bearer(bearer),
        ),
        (
            "end",
            stack
                .delete(&format!("{base}/sessions/{}", other.session_id))
                .bearer(bearer),
        ),
        ("reuse", stack.post(&format!("{base}/refresh")).json(&token)),
    ];
    for (what, call) in ends {
        fail();
        let status = call.send().await.status;
        heal();
        note(what, status, sessions(stack, &ada).await == count);
    }

    fail();
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let call = stack
        .put(&format!("{base}/password/change"))
        .bearer(bearer)
        .json(&body);
    let status = call.send().await.status;
    heal();
    let is_another = login_status(stack, "ada@example.com", NEW).await == 200;
    note(
        "password",
        status,
        !is_another && sessions(stack, &ada).await == count,
    );

    let changes = [
        (
            "rename",
            stack
                .patch("/api/v1/users/me")
                .json(&json!({"full_name": "Ada"})),
        ),
        (
            "make",
            stack
                .post("/api/v1/users/api-keys")
                .json(&json!({"name": "CI"})),
        ),
        (
            "change",
            stack.patch(&key.path()).json(&json!({"name": "Mine"})),
        ),
        (
            "rotate",
            stack
                .post(&format!("{}/rotate", key.path()))
                .json(&json!({})),
        ),
        ("revoke", stack.delete(&key.path())),
    ];
    for (what, call) in changes {
        fail();
        let status = call.bearer(bearer).send().await.status;
        heal();
        let me = stack.get("/api/v1/users/me").bearer(bearer).send().await;
        let is_unnamed = me.body["user"]["full_name"].is_null();
        note(
            what,
            status,
            is_unnamed && keys(stack, &ada).await == before,
        );
    }
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_made_whose_entry_cannot_be_written() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await;

    let attempts = attempt_everything(&stack, &proxy).await;

    for Attempt {
        what,
        status,
        was_not_made,
    } in &attempts
    {
        assert_eq!((*status, *was_not_made), (503, true), "{what}");
    }
    assert_eq!(attempts.len(), 12);
    let left = outbox(&client_at(&engine.endpoint())).await.len();
    assert_eq!(left, 4, "one registration, two sign-ins, one key");
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
