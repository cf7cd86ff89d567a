//! `GET` and `PATCH /api/v1/users/me`

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use turnpike_local::Engine;

use crate::support::{Fault, FaultProxy, OwnEngine, TestStack};

const PATH: &str = "/api/v1/users/me";

#[tokio::test]
async fn an_account_is_shown_to_its_session_and_to_its_key() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;

    let by_session = stack.get(PATH).bearer(&ada.access_token).send().await;
    let by_key = stack.use_key(&key).await;

    assert_eq!(by_session.status, 200, "{}", by_session.text);
    assert_eq!(by_session.body["user"]["id"], ada.id.as_str());
    assert_eq!(by_session.body["user"]["email"], "ada@example.com");
    assert_eq!(by_key.body, by_session.body);
    assert_eq!(by_session.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_name_is_set_trimmed_shown_at_once_left_alone_and_removed() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let cases = [
        (json!({"full_name": "  Ada King "}), json!("Ada King")),
        (json!({}), json!("Ada King")),
        (json!({"full_name": null}), Value::Null),
    ];

    for (request, expected) in cases {
        let call = stack.patch(PATH).bearer(&ada.access_token).json(&request);
        let changed = call.send().await;
        let shown = stack.get(PATH).bearer(&ada.access_token).send().await;

        assert_eq!(changed.status, 200, "{request}: {}", changed.text);
        assert_eq!(changed.body["user"]["full_name"], expected, "{request}");
        assert_eq!(shown.body, changed.body, "{request}");
    }
}

#[tokio::test]
async fn making_a_key_is_no_change_of_the_account_and_renaming_is() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let updated_at = async || {
        let answer = stack.get(PATH).bearer(&ada.access_token).send().await;
        answer.body["user"]["updated_at"].clone()
    };
    let before = updated_at().await;
    stack.pass(Duration::from_mins(1));

    stack.make_key(&ada, json!({})).await;
    let after_a_key = updated_at().await;
    let request = json!({"full_name": "Ada"});
    let call = stack.patch(PATH).bearer(&ada.access_token).json(&request);
    call.send().await;
    let after_renaming = updated_at().await;

    assert_eq!(after_a_key, before);
    assert_ne!(after_renaming, before);
}

#[tokio::test]
async fn what_is_no_name_is_refused_by_its_field_and_changes_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let cases = [
        (json!({"full_name": ""}), ("full_name", "too-short")),
        (
            json!({"full_name": "x".repeat(201)}),
            ("full_name", "too-long"),
        ),
        (json!({"full_name": "A\nB"}), ("full_name", "invalid")),
        (json!({"full_name": 7}), ("full_name", "wrong-type")),
        (json!({"tier": "enterprise"}), ("tier", "unknown")),
        (
            json!({"full_name": "Ada", "roles": ["admin"]}),
            ("roles", "unknown"),
        ),
    ];

    for (request, expected) in cases {
        let call = stack.patch(PATH).bearer(&ada.access_token).json(&request);
        call.send().await.assert_invalid(&[expected]);
    }
    let shown = stack.get(PATH).bearer(&ada.access_token).send().await;
    assert_eq!(shown.body["user"]["full_name"], Value::Null);
    assert_eq!(shown.body["user"]["tier"], "free");
}

#[tokio::test]
async fn a_key_needs_the_scope_of_what_it_does() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let reading = stack
        .make_key(&ada, json!({"scopes": ["profile:read"]}))
        .await;
    let writing = stack
        .make_key(&ada, json!({"scopes": ["profile:write"]}))
        .await;
    let rename = async |key: &str| {
        let call = stack
            .patch(PATH)
            .key(key)
            .json(&json!({"full_name": "Ada"}));
        call.send().await
    };

    assert_eq!(stack.use_key(&reading).await.status, 200);
    stack
        .use_key(&writing)
        .await
        .assert_problem(403, "missing-scope");
    assert_eq!(rename(&writing.secret).await.status, 200);
    rename(&reading.secret)
        .await
        .assert_problem(403, "missing-scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_while_the_keys_of_tokens_are_read_wait_for_them() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let at = Engine::At(proxy.endpoint.clone());
    let stack = TestStack::start_on(at, |env| env).await;
    let ada = stack.register("ada@example.com").await;
    proxy.set(Fault::Hold("SIGNING_KEYS".into()));
    let show = || stack.get(PATH).bearer(&ada.access_token).send();
    let mut answers: FuturesUnordered<_> = (0..5).map(|_| show()).collect();

    let early = tokio::time::timeout(Duration::from_millis(500), answers.next()).await;
    proxy.set(Fault::None);
    let answers: Vec<_> = answers.collect().await;

    assert!(early.is_err(), "{}", early.unwrap().unwrap().text);
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}
