//! `DELETE /api/v1/users/api-keys/{id}`

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use turnpike_local::Engine;

use crate::support::{OwnEngine, TestStack};

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_request_everywhere() {
    let engine = OwnEngine::start().await;
    let at = || Engine::At(engine.endpoint());
    let (one, two) = (
        TestStack::start_on(at(), |env| env).await,
        TestStack::start_on(at(), |env| env).await,
    );
    let ada = one.register("ada@example.com").await;
    let key = one.make_key(&ada, json!({})).await;
    for stack in [&one, &two] {
        assert_eq!(stack.use_key(&key).await.status, 200);
    }

    one.revoke_key(&ada, &key).await;

    for stack in [&two, &one] {
        stack
            .use_key(&key)
            .await
            .assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn revoking_once_more_is_no_mistake_and_changes_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    stack.revoke_key(&ada, &key).await;
    let first = stack.show_key(&ada, &key).await;

    stack.pass(Duration::from_mins(5));
    stack.revoke_key(&ada, &key).await;

    assert_eq!(stack.show_key(&ada, &key).await, first);
}

#[tokio::test]
async fn an_expired_key_can_be_revoked() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let soon = turnpike_shared::clock::Clock::system().now();
    let soon = soon.plus(Duration::from_mins(5)).to_string();
    let key = stack.make_key(&ada, json!({"expires_at": soon})).await;
    stack.pass(Duration::from_mins(6));

    stack.revoke_key(&ada, &key).await;

    assert!(stack.show_key(&ada, &key).await["revoked_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_use_that_begins_after_the_revocation_is_admitted() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    assert_eq!(stack.use_key(&key).await.status, 200);
    let is_revoked = AtomicBool::new(false);
    let uses = join_all((0..8).map(|_| async {
        let mut refused = 0;
        while refused < 3 {
            let began_after = is_revoked.load(Ordering::SeqCst);
            let status = stack.use_key(&key).await.status;
            assert!(
                !began_after || status == 401,
                "{status} after the revocation"
            );
            refused += u32::from(status == 401);
        }
    }));
    let revocation = async {
        stack.revoke_key(&ada, &key).await;
        is_revoked.store(true, Ordering::SeqCst);
    };

    let both = async { tokio::join!(uses, revocation) };
    let ended = tokio::time::timeout(Duration::from_secs(30), both).await;

    assert!(
        ended.is_ok(),
        "the key was still admitted after half a minute"
    );
}
