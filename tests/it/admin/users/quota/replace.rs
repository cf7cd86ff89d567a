//! `PUT /api/v1/admin/users/{id}/quota`

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use turnpike_local::Options;

use crate::admin::{audited, limit, quota_path, without_times};
use crate::support::{Account, Answer, TestStack};

async fn built_in() -> TestStack {
    TestStack::start_as(|options| Options {
        policy: None,
        ..options
    })
    .await
}

async fn put(stack: &TestStack, by: &Account, user: &Account, lifted: Value) -> Answer {
    let call = stack.put(&quota_path(user)).bearer(&by.access_token);
    call.json(&lifted).send().await
}

#[tokio::test]
async fn what_is_named_replaces_the_tiers_limit_and_the_rest_stays() {
    let stack = built_in().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;

    let first = put(
        &stack,
        &admin,
        &ada,
        json!({"limits": {"hour": 7, "day": null}, "reason": "load test"}),
    )
    .await;
    let second = put(
        &stack,
        &admin,
        &ada,
        json!({"limits": {"month": 9}, "expires_at": null, "reason": "another"}),
    )
    .await;

    assert_eq!(first.status, 200, "{}", first.text);
    let state = |answer: &Answer, name: &str| {
        let limit = limit(&answer.body, name);
        (limit["limit"].clone(), limit["source"].clone())
    };
    assert_eq!(state(&first, "hour"), (json!(7), json!("override")));
    assert_eq!(state(&first, "day"), (json!(null), json!("override")));
    assert_eq!(state(&first, "month"), (json!(20_000), json!("tier")));
    assert_eq!(state(&second, "hour"), (json!(100), json!("tier")));
    assert_eq!(state(&second, "month"), (json!(9), json!("override")));
    let shown = stack.get(&quota_path(&ada)).bearer(&admin.access_token);
    let shown = shown.send().await;
    assert_eq!(without_times(&shown.body), without_times(&second.body));
}

#[tokio::test]
async fn the_very_next_request_meets_the_new_limits_up_and_down() {
    let stack = built_in().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let me = async || stack.me_status(&ada.access_token).await;
    let limits = async |hour: Value| {
        let lifted = json!({"limits": {"hour": hour}, "reason": "test"});
        assert_eq!(put(&stack, &admin, &ada, lifted).await.status, 200);
    };

    limits(json!(1)).await;
    let within = me().await;
    let beyond = [me().await, me().await, me().await];
    limits(json!(null)).await;
    let lifted = me().await;
    limits(json!(0)).await;
    let nothing = me().await;

    assert_eq!(within, 200);
    assert_eq!(beyond, [429, 429, 429]);
    assert_eq!(lifted, 200);
    assert_eq!(nothing, 429);
}

#[tokio::test]
async fn an_override_ends_when_it_expires() {
    let stack = built_in().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let in_an_hour = stack.now().plus(Duration::from_hours(1)).to_string();
    let lifted = json!({"limits": {"hour": 0}, "expires_at": in_an_hour, "reason": "abuse"});
    assert_eq!(put(&stack, &admin, &ada, lifted).await.status, 200);
    assert_eq!(stack.me_status(&ada.access_token).await, 429);

    stack.pass(Duration::from_mins(61));

    // The token has expired too: who signs in again, or calls with a key, meets the tier's limits.
    let again = stack.login("ada@example.com").await;
    assert_eq!(stack.me_status(&again.access_token).await, 200);
    let admin = stack.admin().await;
    let shown = stack.get(&quota_path(&ada)).bearer(&admin.access_token);
    let shown = shown.send().await;
    assert_eq!(limit(&shown.body, "hour")["source"], "tier");
}

#[tokio::test]
async fn the_log_has_limits_expiry_and_reason_and_tokens_have_no_reason() {
    let stack = built_in().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let lifted = json!({
        "limits": {"hour": 7, "month": null},
        "expires_at": "2999-01-01T00:00:00Z",
        "reason": "agreed by phone",
    });

    put(&stack, &admin, &ada, lifted.clone()).await;
    put(&stack, &admin, &ada, lifted.clone()).await;

    let entries = audited(&stack, &ada).await;
    assert_eq!(
        entries.len(),
        1,
        "the same again changes nothing: {entries:?}"
    );
    assert_eq!(entries[0]["action"], "quota-overridden");
    assert_eq!(entries[0]["details"], lifted);
    let token = stack.login("ada@example.com").await.access_token;
    let payload = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(claims["quota"]["hour"], 7);
    assert_eq!(claims["quota"]["reason"], Value::Null, "{claims}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_field_and_changes_nothing() {
    let stack = built_in().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let long = "x".repeat(501);
    let cases: [(Value, &[(&str, &str)]); 15] = [
        (json!({"reason": "r"}), &[("limits", "required")]),
        (json!({"limits": {"hour": 1}}), &[("reason", "required")]),
        (
            json!({"limits": {}, "reason": "r"}),
            &[("limits", "too-short")],
        ),
        (
            json!({"limits": {"hour": -1, "day": 1_000_000_001}, "reason": ""}),
            &[
                ("limits.hour", "out-of-range"),
                ("limits.day", "out-of-range"),
                ("reason", "too-short"),
            ],
        ),
        (
            json!({"limits": {"hour": 1.5}, "reason": "r"}),
            &[("limits.hour", "wrong-type")],
        ),
        (
            json!({"limits": {"week": 1}, "reason": "r"}),
            &[("limits.week", "unknown")],
        ),
        (
            json!({"limits": null, "reason": "r"}),
            &[("limits", "wrong-type")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": long}),
            &[("reason", "too-long")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": " "}),
            &[("reason", "too-short")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": "load\u{1b}[2Jtest"}),
            &[("reason", "invalid")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": null}),
            &[("reason", "wrong-type")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": "r", "expires_at": "tomorrow"}),
            &[("expires_at", "invalid")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": "r", "expires_at": "2001-01-01T00:00:00Z"}),
            &[("expires_at", "out-of-range")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": "r", "expires_at": 1}),
            &[("expires_at", "wrong-type")],
        ),
        (
            json!({"limits": {"hour": 1}, "reason": "r", "by": "me"}),
            &[("by", "unknown")],
        ),
    ];

    for (lifted, expected) in cases {
        put(&stack, &admin, &ada, lifted)
            .await
            .assert_invalid(expected);
    }
    assert!(audited(&stack, &ada).await.is_empty());
}
