//! `GET` and `PATCH /api/v1/users/me`

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::TestStack;

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
async fn the_first_requests_of_all_are_let_in_though_they_come_at_once() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let show = || stack.get(PATH).bearer(&ada.access_token).send();

    let answers = join_all((0..10).map(|_| show())).await;

    // The function has yet to read the keys that tokens are verified with.
    for answer in answers {
        assert_ne!(answer.status, 401, "{}", answer.text);
    }
}
