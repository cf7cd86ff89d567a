//! `POST /api/v1/users/api-keys`

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{KEYS, Key, TestStack};

/// How many items of the identity table belong to keys, the items of their digests included.
async fn items_of_keys(stack: &TestStack) -> (usize, usize) {
    let items = stack.dynamodb().await.scan().table_name("IdentityTable");
    let items = items.send().await.unwrap().items.unwrap();
    let begins = |name: &str| {
        let has = |value: &AttributeValue| value.as_s().unwrap().starts_with("KEY#");
        items.iter().filter(|item| has(&item[name])).count()
    };
    (begins("sk"), begins("pk"))
}

#[tokio::test]
async fn a_new_key_is_shown_once_and_works() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let created = stack.create_key(&ada, json!({"name": " CI "})).await;
    let key = Key::from_answer(&created);
    let used = stack.use_key(&key).await;
    let listed = stack.get(KEYS).bearer(&ada.access_token).send().await;

    let shown = &created.body["api_key"];
    assert_eq!(used.body["user"]["id"], ada.id.as_str());
    assert!(key.secret.starts_with("tp_test_"));
    assert_eq!(key.secret.len(), 46);
    assert_eq!(shown["name"], "CI");
    assert_eq!(shown["prefix"], key.secret[..12]);
    assert_eq!(shown["allowed_cidrs"], json!([]));
    for absent in ["limits", "expires_at", "last_used_at", "revoked_at"] {
        assert_eq!(shown.get(absent), Some(&Value::Null), "{absent}");
    }
    assert!(!listed.text.contains(&key.secret), "{}", listed.text);
    assert_eq!(created.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_key_gets_the_scopes_asked_for_or_a_plain_users_but_for_keys_write() {
    let stack = TestStack::start().await;
    let ada = stack.admin().await;
    let scopes = async |request: Value| {
        let answer = stack.create_key(&ada, request).await;
        let scopes = answer.body["api_key"]["scopes"].as_array().unwrap().clone();
        let names = scopes
            .iter()
            .map(|scope| scope.as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };

    let default = scopes(json!({})).await;
    let asked = scopes(json!({"scopes": ["query:run", "keys:write", "query:run"]})).await;
    let none = scopes(json!({"scopes": []})).await;

    assert_eq!(default.len(), 16);
    assert!(default.contains(&"profile:read".into()));
    for withheld in ["keys:write", "admin:read", "keys:verify", "content:write"] {
        assert!(!default.contains(&withheld.into()), "{withheld}");
    }
    assert_eq!(asked, ["keys:write", "query:run"]);
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_scope_that_the_owner_does_not_hold_is_not_given_and_no_key_is_made() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let refused = stack.create_key(&ada, json!({"scopes": ["query:run", "admin:read"]}));

    let refused = refused.await;
    refused.assert_problem(403, "scope-not-held");
    assert!(refused.text.contains("admin:read") && !refused.text.contains("query:run"));
    assert_eq!(items_of_keys(&stack).await, (0, 0));
}

#[tokio::test]
async fn a_bad_request_is_told_every_field_and_makes_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let cases: Vec<(Value, &[(&str, &str)])> = vec![
        (json!({}), &[("name", "required")]),
        (json!({"name": 7}), &[("name", "wrong-type")]),
        (json!({"name": " "}), &[("name", "too-short")]),
        (json!({"name": "x".repeat(101)}), &[("name", "too-long")]),
        (json!({"name": "C\u{7}I"}), &[("name", "invalid")]),
        (
            json!({"name": "CI", "owner": "me"}),
            &[("owner", "unknown")],
        ),
        (
            json!({"name": "CI", "scopes": "query:run"}),
            &[("scopes", "wrong-type")],
        ),
        (
            json!({"name": "CI", "scopes": ["query:run", "moon:land"]}),
            &[("scopes[1]", "invalid")],
        ),
        (
            json!({"name": "CI", "allowed_cidrs": ["192.0.2.0/24", "192.0.2.7/24", "office"]}),
            &[
                ("allowed_cidrs[1]", "invalid"),
                ("allowed_cidrs[2]", "invalid"),
            ],
        ),
        (
            json!({"name": "CI", "allowed_cidrs": vec!["192.0.2.1"; 51]}),
            &[("allowed_cidrs", "too-long")],
        ),
        (
            json!({"name": "CI", "expires_at": "2020-01-01T00:00:00Z"}),
            &[("expires_at", "out-of-range")],
        ),
        (
            json!({"name": "CI", "expires_at": "soon"}),
            &[("expires_at", "invalid")],
        ),
        (
            json!({"name": "CI", "limits": {}}),
            &[("limits", "required")],
        ),
        (
            json!({"name": "CI", "limits": {"hour": -1, "day": 1_000_000_001_i64}}),
            &[
                ("limits.hour", "out-of-range"),
                ("limits.day", "out-of-range"),
            ],
        ),
        (
            json!({"name": "CI", "limits": {"minute": 1}}),
            &[("limits.minute", "unknown")],
        ),
        (
            json!({"name": "", "scopes": ["x"], "allowed_cidrs": ["y"], "expires_at": "z", "limits": {}}),
            &[
                ("name", "too-short"),
                ("scopes[0]", "invalid"),
                ("allowed_cidrs[0]", "invalid"),
                ("expires_at", "invalid"),
                ("limits", "required"),
            ],
        ),
    ];

    for (request, expected) in cases {
        let call = stack.post(KEYS).bearer(&ada.access_token).json(&request);
        call.send().await.assert_invalid(expected);
    }
    assert_eq!(items_of_keys(&stack).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_creations_beside_99_keys_exactly_one_wins() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    for _ in 0..99 {
        stack.make_key(&ada, json!({})).await;
    }

    let answers = join_all((0..20).map(|_| stack.create_key(&ada, json!({})))).await;

    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.assert_problem(409, "too-many-keys");
    }
    assert_eq!(items_of_keys(&stack).await, (100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_keys_with_limits_of_their_own_five_are_made() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let limited = || stack.create_key(&ada, json!({"limits": {"hour": 1}}));

    let answers = join_all((0..20).map(|_| limited())).await;

    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 5);
    for answer in lost {
        // Five changes of one user at once may leave a sixth request undecided.
        if answer.code() != "throttled" {
            answer.assert_problem(409, "too-many-keys");
        }
    }
    // Each counts by itself.
    for answer in won {
        let key = Key::from_answer(answer);
        assert_eq!(stack.use_key(&key).await.status, 200);
        assert_eq!(stack.use_key(&key).await.status, 429);
    }
    stack.make_key(&ada, json!({})).await;
}

#[tokio::test]
async fn a_key_that_no_longer_counts_makes_room_for_another() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let mut keys = vec![];
    for _ in 0..5 {
        keys.push(stack.make_key(&ada, json!({"limits": {"hour": 1}})).await);
    }
    let sixth = async || stack.create_key(&ada, json!({"limits": {"hour": 1}})).await;
    sixth().await.assert_problem(409, "too-many-keys");

    stack.use_key(&keys[0]).await;
    stack.revoke_key(&ada, &keys[0]).await;
    let after_revocation = Key::from_answer(&sixth().await);
    let path = keys[1].path();
    let call = stack.patch(&path).bearer(&ada.access_token);
    call.json(&json!({"limits": null})).send().await;
    let after_removal = Key::from_answer(&sixth().await);

    sixth().await.assert_problem(409, "too-many-keys");
    for key in [after_revocation, after_removal] {
        assert_eq!(stack.use_key(&key).await.status, 200, "it starts at zero");
        assert_eq!(stack.use_key(&key).await.status, 429);
    }
}

#[tokio::test]
async fn what_was_counted_for_a_key_is_removed_once_nobody_counts_there() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let limits = json!({"limits": {"hour": 9, "day": 9, "month": 9}});
    let windows = async || {
        let item = stack
            .dynamodb()
            .await
            .get_item()
            .table_name("AdmissionTable");
        let pk = AttributeValue::S(format!("USER#{}", ada.id));
        let item = item
            .key("pk", pk)
            .key("sk", AttributeValue::S("ADMISSION".into()));
        let item = item.send().await.unwrap().item.unwrap();
        let of_keys = item
            .keys()
            .filter(|name| name.starts_with('k') && name.strip_suffix(".i").is_some());
        of_keys.count()
    };
    let first = stack.make_key(&ada, limits.clone()).await;
    let second = stack.make_key(&ada, limits).await;
    stack.use_key(&first).await;
    stack.use_key(&second).await;
    assert_eq!(windows().await, 6);

    stack.revoke_key(&ada, &first).await;

    assert_eq!(windows().await, 3);
}
