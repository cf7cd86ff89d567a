//! Keys in use: where they may stand in a request, from where they are taken, until when, and what
//! counts against them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Key, TestStack};

const ME: &str = "/api/v1/users/me";

#[tokio::test]
async fn a_key_is_taken_in_either_header_and_not_in_both() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let get = || stack.get(ME);

    assert_eq!(get().key(&key.secret).send().await.status, 200);
    assert_eq!(get().bearer(&key.secret).send().await.status, 200);
    let ambiguous = [
        get().key(&key.secret).bearer(&ada.access_token),
        get().key(&key.secret).bearer(&key.secret),
        get().key(&key.secret).key(&key.secret),
        get().key("").bearer(&ada.access_token),
    ];
    for call in ambiguous {
        call.send()
            .await
            .assert_problem(400, "ambiguous-credentials");
    }
}

#[tokio::test]
async fn what_is_nobodys_key_is_refused_like_any_bad_credential() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await.secret;
    let cases = [
        String::new(),
        "junk".to_owned(),
        key[..45].to_owned(),
        format!("{key}0"),
        key.to_uppercase(),
        key.replace("tp_test_", "tp_live_"),
        // Well formed, its checksum good, and nobody's.
        "tp_test_000000000000000000000000000000002wjyrI".to_owned(),
    ];

    for junk in cases {
        let answer = stack.get(ME).key(&junk).send().await;
        answer.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_key_is_used_only_from_its_networks() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    // The tests call from 127.0.0.1.
    let cases = [
        (json!([]), 200),
        (json!(["127.0.0.0/8"]), 200),
        (json!(["192.0.2.0/24", "127.0.0.1"]), 200),
        (json!(["::ffff:127.0.0.0/104"]), 200),
        (json!(["192.0.2.0/24"]), 403),
        (json!(["127.0.0.2"]), 403),
        (json!(["::1"]), 403),
        (json!(["::/0"]), 403),
    ];

    for (cidrs, expected) in cases {
        let key = stack.make_key(&ada, json!({"allowed_cidrs": cidrs})).await;
        let answer = stack.use_key(&key).await;

        assert_eq!(answer.status, expected, "{cidrs}: {}", answer.text);
        if expected == 403 {
            answer.assert_problem(403, "ip-not-allowed");
        }
    }
}

#[tokio::test]
async fn a_key_works_until_it_expires() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let in_a_day = turnpike_shared::clock::Clock::system().now();
    let in_a_day = in_a_day.plus(Duration::from_hours(24)).to_string();
    let key = stack.make_key(&ada, json!({"expires_at": in_a_day})).await;

    let before = stack.use_key(&key).await.status;
    stack.pass(Duration::from_hours(24));
    let after = stack.use_key(&key).await;

    assert_eq!(before, 200);
    after.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_keys_own_limit_narrows_its_owners_and_nobody_elses() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let narrow = stack.make_key(&ada, json!({"limits": {"hour": 2}})).await;
    let wide = stack.make_key(&ada, json!({})).await;

    let admitted = [stack.use_key(&narrow).await, stack.use_key(&narrow).await];
    let refused = stack.use_key(&narrow).await;
    let other = stack.use_key(&wide).await;

    assert_eq!(admitted.map(|answer| answer.status), [200, 200]);
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.body["violated-policies"], json!(["key-hour"]));
    assert_eq!(refused.header("x-ratelimit-limit"), "2");
    assert!(
        refused
            .header("ratelimit-policy")
            .contains(r#""key-hour";q=2;w=3600"#)
    );
    assert_eq!(other.status, 200);
    stack.pass(Duration::from_secs(3_661));
    assert_eq!(stack.use_key(&narrow).await.status, 200);
}

#[tokio::test]
async fn keys_of_a_deactivated_owner_sleep_until_the_owner_is_back() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    assert_eq!(stack.use_key(&key).await.status, 200);
    let set_active = async |is_active| {
        let value = aws_sdk_dynamodb::types::AttributeValue::Bool(is_active);
        stack.set_user_attribute(&ada.id, "is_active", value).await;
    };

    set_active(false).await;
    let asleep = stack.use_key(&key).await;
    set_active(true).await;
    let awake = stack.use_key(&key).await;

    asleep.assert_problem(401, "unauthenticated");
    assert_eq!(awake.status, 200, "{}", awake.text);
}

#[tokio::test]
async fn a_key_does_what_needs_a_session_nowhere() {
    let stack = TestStack::start().await;
    let ada = stack.admin().await;
    let all = json!({"scopes": ["profile:read", "profile:write", "keys:write", "admin:write"]});
    let key = stack.make_key(&ada, all).await;
    let calls = [
        stack.get("/api/v1/auth/sessions"),
        stack.post("/api/v1/auth/logout"),
        stack.put("/api/v1/auth/password/change").json(&json!({})),
    ];

    for call in calls {
        let answer = call.key(&key.secret).send().await;
        answer.assert_problem(403, "session-required");
    }
}

#[tokio::test]
async fn the_last_use_of_a_key_is_shown_and_no_change_erases_it() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    assert_eq!(last_used(&stack, &ada, &key).await, Value::Null);

    stack.use_key(&key).await;
    // It is written beside the request.
    let written = async {
        loop {
            let shown = last_used(&stack, &ada, &key).await;
            if shown != Value::Null {
                return shown;
            }
        }
    };
    let used = tokio::time::timeout(Duration::from_secs(10), written).await;
    let call = stack.patch(&key.path()).bearer(&ada.access_token);
    call.json(&json!({"name": "Other"})).send().await;

    assert_eq!(last_used(&stack, &ada, &key).await, used.unwrap());
}

async fn last_used(stack: &TestStack, owner: &crate::support::Account, key: &Key) -> Value {
    stack.show_key(owner, key).await["last_used_at"].clone()
}
