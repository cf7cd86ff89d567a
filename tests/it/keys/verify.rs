//! `POST /api/v1/keys/verify`

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_local::Engine;

use crate::support::{Account, Answer, Key, OwnEngine, TestStack};

const PATH: &str = "/api/v1/keys/verify";

async fn verify(stack: &TestStack, verifier: &Account, request: Value) -> Answer {
    let call = stack.post(PATH).bearer(&verifier.access_token);
    call.json(&request).send().await
}

/// The code that a key is answered with, alone in its request.
async fn code(stack: &TestStack, verifier: &Account, key: &Key) -> String {
    let answer = verify(stack, verifier, json!({"key": key.secret})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let code = answer.body["code"].as_str().unwrap().to_owned();
    assert_eq!(answer.body["valid"], code == "ok");
    code
}

#[tokio::test]
async fn a_good_key_is_told_with_its_owner_and_counted_as_if_its_holder_had_called() {
    let stack = TestStack::start_as(|options| turnpike_local::Options {
        policy: None,
        ..options
    })
    .await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let request = json!({"scopes": ["query:run", "profile:read"], "limits": {"hour": 9}});
    let key = stack.make_key(&ada, request).await;

    let request = json!({"key": key.secret, "cost": 3, "class": "query", "scopes": ["query:run"]});
    let answer = verify(&stack, &admin, request).await.body;

    assert_eq!(
        (&answer["valid"], &answer["code"]),
        (&json!(true), &json!("ok"))
    );
    assert_eq!(answer["user_id"], ada.id.as_str());
    assert_eq!(answer["key_id"], key.id.as_str());
    assert_eq!(answer["tier"], "free");
    assert_eq!(answer["scopes"], json!(["profile:read", "query:run"]));
    let limits = answer["limits"].as_array().unwrap();
    let used = |name: &str| {
        let limit = limits.iter().find(|limit| limit["name"] == name);
        limit.map(|limit| limit["used"].as_u64().unwrap())
    };
    // The key was made by a request of its owner's.
    assert_eq!(
        (used("hour"), used("day"), used("month")),
        (Some(4), Some(4), Some(4))
    );
    assert_eq!((used("query"), used("key-hour")), (Some(3), Some(3)));
}

#[tokio::test]
async fn every_reason_to_refuse_a_key_has_its_code() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let idle = stack.register("idle@example.com").await;
    let soon = turnpike_shared::clock::Clock::system().now();
    let soon = soon.plus(Duration::from_mins(1)).to_string();
    let revoked = stack.make_key(&ada, json!({})).await;
    let expired = stack.make_key(&ada, json!({"expires_at": soon})).await;
    let inactive = stack.make_key(&idle, json!({})).await;
    let bound = stack
        .make_key(
            &ada,
            json!({"allowed_cidrs": ["192.0.2.0/24", "2001:db8::/32"]}),
        )
        .await;
    let spent = stack.make_key(&ada, json!({"limits": {"day": 1}})).await;
    let plain = stack.make_key(&ada, json!({"scopes": ["query:run"]})).await;
    for key in [&revoked, &expired, &inactive, &spent] {
        assert_eq!(code(&stack, &admin, key).await, "ok");
    }
    stack.revoke_key(&ada, &revoked).await;
    stack.deactivate(&idle.id).await;
    stack.pass(Duration::from_mins(2));
    let of = |key: &Key| json!({"key": key.secret});
    let from = |key: &Key, ip: &str| json!({"key": key.secret, "ip": ip});
    let wanting = |key: &Key, scope: &str| json!({"key": key.secret, "scopes": [scope]});
    let cases = [
        (json!({"key": ""}), "unknown"),
        (json!({"key": "junk"}), "unknown"),
        (
            json!({"key": "tp_test_000000000000000000000000000000002wjyrI"}),
            "unknown",
        ),
        (of(&revoked), "revoked"),
        (of(&expired), "expired"),
        (of(&inactive), "inactive-user"),
        (wanting(&plain, "profile:read"), "missing-scope"),
        (wanting(&plain, "admin:write"), "missing-scope"),
        (wanting(&plain, "query:run"), "ok"),
        (of(&bound), "ip-not-allowed"),
        (from(&bound, "198.51.100.1"), "ip-not-allowed"),
        (from(&bound, "192.0.2.9"), "ok"),
        (from(&bound, "::ffff:192.0.2.9"), "ok"),
        (from(&bound, "2001:db8::1"), "ok"),
        (from(&plain, "198.51.100.1"), "ok"),
        (of(&spent), "quota-exceeded"),
    ];

    for (request, expected) in cases {
        let answer = verify(&stack, &admin, request.clone()).await;

        assert_eq!(answer.status, 200, "{request}: {}", answer.text);
        assert_eq!(answer.body["code"], expected, "{request}");
        assert_eq!(answer.body["valid"], expected == "ok", "{request}");
        assert_eq!(
            answer.body["user_id"].is_null(),
            expected == "unknown",
            "{request}"
        );
        let has_limits = !answer.body["limits"].as_array().unwrap().is_empty();
        assert_eq!(
            has_limits,
            ["ok", "quota-exceeded"].contains(&expected),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_change_of_a_key_is_seen_by_the_next_verification_everywhere() {
    let engine = OwnEngine::start().await;
    let at = || Engine::At(engine.endpoint());
    let (one, two) = (
        TestStack::start_on(at(), |env| env).await,
        TestStack::start_on(at(), |env| env).await,
    );
    let ada = one.register("ada@example.com").await;
    let roles = aws_sdk_dynamodb::types::AttributeValue::L(
        ["user", "admin"]
            .map(|role| aws_sdk_dynamodb::types::AttributeValue::S(role.into()))
            .into(),
    );
    one.set_user_attribute_at(&engine.endpoint(), &ada.id, "roles", roles)
        .await;
    let key = one.make_key(&ada, json!({"scopes": []})).await;
    let wanting = || json!({"key": key.secret, "scopes": ["query:run"]});
    // A stack's tokens are good at that stack alone; a key is good at both.
    let verifier = one.make_key(&ada, json!({"scopes": ["keys:verify"]})).await;
    let code = async |stack: &TestStack| {
        let call = stack.post(PATH).key(&verifier.secret).json(&wanting());
        call.send().await.body["code"].clone()
    };
    for stack in [&one, &two] {
        assert_eq!(code(stack).await, "missing-scope");
    }
    let change = async |scopes: Value| {
        let call = one.patch(&key.path()).bearer(&ada.access_token);
        assert_eq!(
            call.json(&json!({"scopes": scopes})).send().await.status,
            200
        );
    };

    change(json!(["query:run"])).await;
    for stack in [&two, &one] {
        assert_eq!(code(stack).await, "ok");
    }
    change(json!([])).await;
    for stack in [&two, &one] {
        assert_eq!(code(stack).await, "missing-scope");
    }
    one.revoke_key(&ada, &key).await;
    for stack in [&two, &one] {
        assert_eq!(code(stack).await, "revoked");
    }
}

#[tokio::test]
async fn a_refused_verification_counts_nothing() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"limits": {"day": 2}})).await;
    let with = |member: &str, value: Value| json!({"key": key.secret, member: value});

    for _ in 0..3 {
        let answer = verify(&stack, &admin, with("scopes", json!(["admin:read"]))).await;
        assert_eq!(answer.body["code"], "missing-scope");
        let answer = verify(&stack, &admin, with("cost", json!(3))).await;
        assert_eq!(answer.body["code"], "quota-exceeded");
    }

    let answer = verify(&stack, &admin, with("cost", json!(2))).await;
    assert_eq!(answer.body["code"], "ok", "{}", answer.text);
}

#[tokio::test]
async fn a_bad_request_is_told_every_field_and_never_the_key() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let with = |member: &str, value: Value| json!({"key": key.secret, member: value});
    let cases = [
        (json!({}), ("key", "required")),
        (json!({"key": 7}), ("key", "wrong-type")),
        (with("cost", json!(0)), ("cost", "out-of-range")),
        (with("cost", json!(1_000_001)), ("cost", "out-of-range")),
        (with("cost", json!("1")), ("cost", "wrong-type")),
        (
            with("scopes", json!(["moon:land"])),
            ("scopes[0]", "invalid"),
        ),
        (with("class", json!("moon")), ("class", "invalid")),
        (with("class", json!("auth")), ("class", "invalid")),
        (with("ip", json!("here")), ("ip", "invalid")),
        (with("method", json!("GET")), ("method", "unknown")),
    ];

    for (request, expected) in cases {
        let answer = verify(&stack, &admin, request).await;
        answer.assert_invalid(&[expected]);
        assert!(!answer.text.contains(&key.secret));
    }
}

#[tokio::test]
async fn who_may_not_verify_keys_is_refused() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let admin = stack.admin().await;
    let key = stack.make_key(&ada, json!({})).await;
    let verifying = stack
        .make_key(&admin, json!({"scopes": ["keys:verify"]}))
        .await;
    let request = json!({"key": key.secret});

    let by_user = verify(&stack, &ada, request.clone()).await;
    let by_key = stack
        .post(PATH)
        .key(&verifying.secret)
        .json(&request)
        .send()
        .await;

    by_user.assert_problem(403, "missing-scope");
    assert_eq!(by_key.body["code"], "ok", "{}", by_key.text);
}
