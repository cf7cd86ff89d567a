//! `PATCH /api/v1/users/api-keys/{id}`

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_local::Engine;

use crate::support::{Account, Answer, Key, OwnEngine, TestStack};

async fn change(stack: &TestStack, account: &Account, key: &Key, request: Value) -> Answer {
    let call = stack.patch(&key.path()).bearer(&account.access_token);
    call.json(&request).send().await
}

#[tokio::test]
async fn what_is_given_changes_and_the_rest_stays() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"scopes": ["query:run"]})).await;
    let mut expected = stack.show_key(&ada, &key).await;
    let changes = [
        ("name", json!("Other")),
        ("scopes", json!(["profile:read"])),
        ("scopes", json!([])),
        ("allowed_cidrs", json!(["192.0.2.0/24"])),
        ("allowed_cidrs", json!([])),
        ("limits", json!({"hour": 5, "day": null, "month": null})),
        ("limits", json!({"hour": null, "day": 6, "month": null})),
        ("limits", Value::Null),
    ];

    for (member, value) in changes {
        let answer = change(&stack, &ada, &key, json!({member: value})).await;

        expected[member] = value;
        assert_eq!(answer.status, 200, "{member}: {}", answer.text);
        assert_eq!(answer.body["api_key"], expected, "{member}");
        assert_eq!(stack.show_key(&ada, &key).await, expected, "{member}");
    }
    let nothing = change(&stack, &ada, &key, json!({})).await;
    assert_eq!(nothing.body["api_key"], expected);
}

#[tokio::test]
async fn a_bad_change_is_told_by_field_and_changes_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"limits": {"hour": 5}})).await;
    let before = stack.show_key(&ada, &key).await;
    let cases: [(Value, &[(&str, &str)]); 9] = [
        (json!({"name": null}), &[("name", "wrong-type")]),
        (json!({"name": ""}), &[("name", "too-short")]),
        (json!({"scopes": null}), &[("scopes", "wrong-type")]),
        (json!({"scopes": ["x"]}), &[("scopes[0]", "invalid")]),
        (
            json!({"allowed_cidrs": null}),
            &[("allowed_cidrs", "wrong-type")],
        ),
        (json!({"limits": {}}), &[("limits", "required")]),
        (
            json!({"limits": {"hour": "5"}}),
            &[("limits.hour", "wrong-type")],
        ),
        (json!({"expires_at": null}), &[("expires_at", "unknown")]),
        (
            json!({"name": "Other", "scopes": ["x"], "limits": {}}),
            &[("scopes[0]", "invalid"), ("limits", "required")],
        ),
    ];

    for (request, expected) in cases {
        change(&stack, &ada, &key, request)
            .await
            .assert_invalid(expected);
    }
    assert_eq!(stack.show_key(&ada, &key).await, before);
}

#[tokio::test]
async fn a_scope_that_is_taken_or_given_counts_from_the_next_request_on_everywhere() {
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

    change(&one, &ada, &key, json!({"scopes": ["query:run"]})).await;
    for stack in [&one, &two] {
        stack
            .use_key(&key)
            .await
            .assert_problem(403, "missing-scope");
    }
    change(&one, &ada, &key, json!({"scopes": ["profile:read"]})).await;
    for stack in [&two, &one] {
        assert_eq!(stack.use_key(&key).await.status, 200);
    }
}

#[tokio::test]
async fn networks_and_limits_count_from_the_next_request_on() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    assert_eq!(stack.use_key(&key).await.status, 200);

    change(&stack, &ada, &key, json!({"allowed_cidrs": ["192.0.2.1"]})).await;
    stack
        .use_key(&key)
        .await
        .assert_problem(403, "ip-not-allowed");
    let request = json!({"allowed_cidrs": [], "limits": {"day": 1}});
    change(&stack, &ada, &key, request).await;
    assert_eq!(stack.use_key(&key).await.status, 200);
    assert_eq!(stack.use_key(&key).await.status, 429);
    // A refusal is remembered for a second; the count stays where the limit is only another.
    stack.pass(Duration::from_secs(1));
    change(&stack, &ada, &key, json!({"limits": {"day": 2}})).await;
    assert_eq!(stack.use_key(&key).await.status, 200);
    assert_eq!(stack.use_key(&key).await.status, 429);
}

#[tokio::test]
async fn a_scope_that_the_owner_does_not_hold_is_not_given() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"scopes": ["query:run"]})).await;

    let refused = change(
        &stack,
        &ada,
        &key,
        json!({"name": "Other", "scopes": ["admin:write"]}),
    );

    refused.await.assert_problem(403, "scope-not-held");
    assert_eq!(stack.show_key(&ada, &key).await["name"], "CI");
}

#[tokio::test]
async fn a_key_that_is_not_live_is_not_changed() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let revoked = stack.make_key(&ada, json!({})).await;
    stack.revoke_key(&ada, &revoked).await;
    let rotated = stack.make_key(&ada, json!({})).await;
    stack.rotate_key(&ada, &rotated, 0).await;

    for key in [&revoked, &rotated] {
        let answer = change(&stack, &ada, key, json!({"name": "Other"})).await;
        answer.assert_problem(409, "key-revoked");
        assert_eq!(stack.show_key(&ada, key).await["name"], "CI");
    }
}

#[tokio::test]
async fn a_limit_of_zero_lets_nothing_in_until_it_is_raised() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"limits": {"hour": 0}})).await;

    let refused = stack.use_key(&key).await;
    stack.pass(Duration::from_secs(1));
    change(&stack, &ada, &key, json!({"limits": {"hour": 1}})).await;

    assert_eq!((refused.status, refused.header("retry-after")), (429, ""));
    assert_eq!(refused.body["violated-policies"], json!(["key-hour"]));
    assert_eq!(stack.use_key(&key).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_with_a_limit_of_zero_is_no_credential() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"limits": {"hour": 0}})).await;
    assert_eq!(stack.use_key(&key).await.status, 429);

    stack.revoke_key(&ada, &key).await;
    stack.pass(Duration::from_secs(1));

    stack
        .use_key(&key)
        .await
        .assert_problem(401, "unauthenticated");
}
