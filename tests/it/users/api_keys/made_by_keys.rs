//! Keys that are made and managed by keys: never more than the key that does so has.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Key, TestStack};

const BOUNDS: &str = "127.0.0.0/8";
const EXPIRY: &str = "2090-01-01T00:00:00Z";

/// A key that manages keys, with a bound of every kind.
async fn manager(stack: &TestStack, owner: &Account) -> Key {
    let request = json!({
        "scopes": ["profile:read", "keys:read", "keys:write"],
        "allowed_cidrs": [BOUNDS],
        "expires_at": EXPIRY,
        "limits": {"hour": 1_000},
    });
    stack.make_key(owner, request).await
}

fn within() -> Value {
    json!({
        "scopes": ["profile:read"],
        "allowed_cidrs": ["127.0.0.1"],
        "expires_at": EXPIRY,
        "limits": {"hour": 1_000, "day": 5},
    })
}

fn but(member: &str, value: Value) -> Value {
    let mut request = within();
    request[member] = value;
    request
}

#[tokio::test]
async fn a_key_makes_keys_within_its_own_bounds() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let manager = manager(&stack, &ada).await;

    let made = stack.create_key_by(&manager, within()).await;

    let made = Key::from_answer(&made);
    assert_eq!(stack.use_key(&made).await.status, 200);
}

#[tokio::test]
async fn a_key_makes_no_key_beyond_its_own_bounds() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let manager = manager(&stack, &ada).await;
    let cases = [
        (but("scopes", json!(["query:run"])), "scope-not-held"),
        (but("scopes", Value::Null), "scope-not-held"),
        (but("scopes", json!(["keys:write"])), "scope-not-held"),
        (but("scopes", json!(["admin:read"])), "scope-not-held"),
        (but("allowed_cidrs", json!([])), "beyond-own-key"),
        (but("allowed_cidrs", json!(["10.0.0.1"])), "beyond-own-key"),
        (but("expires_at", Value::Null), "beyond-own-key"),
        (
            but("expires_at", json!("2090-01-01T00:00:01Z")),
            "beyond-own-key",
        ),
        (but("limits", Value::Null), "beyond-own-key"),
        (but("limits", json!({"hour": 1_001})), "beyond-own-key"),
        (but("limits", json!({"day": 5})), "beyond-own-key"),
    ];

    for (request, code) in cases {
        let answer = stack.create_key_by(&manager, request.clone()).await;
        assert_eq!((answer.status, answer.code()), (403, code), "{request}");
    }
    let listed = stack.get(crate::support::KEYS).bearer(&ada.access_token);
    assert_eq!(
        listed.send().await.body["items"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_key_manages_keys_within_its_bounds_and_neither_others_nor_itself() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let manager = manager(&stack, &ada).await;
    let child = Key::from_answer(&stack.create_key_by(&manager, within()).await);
    let wider = stack
        .make_key(&ada, json!({"scopes": ["profile:read"]}))
        .await;
    let other = stack.make_key(&ada, json!({"scopes": ["query:run"]})).await;
    let rename = async |key: &Key| {
        let call = stack.patch(&key.path()).key(&manager.secret);
        call.json(&json!({"name": "Other"})).send().await
    };
    let rotate = async |key: &Key| {
        let call = stack.post(&format!("{}/rotate", key.path()));
        call.key(&manager.secret).json(&json!({})).send().await
    };
    let revoke = async |key: &Key| stack.delete(&key.path()).key(&manager.secret).send().await;

    for (key, code) in [
        (&manager, "beyond-own-key"),
        (&wider, "beyond-own-key"),
        (&other, "scope-not-held"),
    ] {
        rename(key).await.assert_problem(403, code);
        rotate(key).await.assert_problem(403, code);
        revoke(key).await.assert_problem(403, code);
    }
    assert_eq!(rename(&child).await.status, 200);
    let rotated = Key::from_answer(&rotate(&child).await);
    assert_eq!(revoke(&rotated).await.status, 204);
    assert_eq!(stack.use_key(&other).await.status, 403);
    assert_eq!(stack.use_key(&manager).await.status, 200);
}

#[tokio::test]
async fn a_key_without_the_right_to_manage_keys_manages_none() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let plain = stack.make_key(&ada, json!({})).await;
    let other = stack.make_key(&ada, json!({})).await;

    let made = stack.create_key_by(&plain, json!({})).await;
    let revoked = stack.delete(&other.path()).key(&plain.secret).send().await;
    let listed = stack
        .get(crate::support::KEYS)
        .key(&plain.secret)
        .send()
        .await;

    made.assert_problem(403, "missing-scope");
    revoked.assert_problem(403, "missing-scope");
    assert_eq!(listed.status, 200);
}

#[tokio::test]
async fn a_revoked_key_takes_along_what_it_made_and_what_came_of_that() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let manager = manager(&stack, &ada).await;
    let apart = stack.make_key(&ada, json!({})).await;
    let child = Key::from_answer(&stack.create_key_by(&manager, within()).await);
    let exchanged = Key::from_answer(&stack.create_key_by(&manager, within()).await);
    let successor = Key::from_answer(&stack.rotate_key(&ada, &exchanged, 0).await);
    // What the manager made goes with the key that took the manager's place.
    let heir = Key::from_answer(&stack.rotate_key(&ada, &manager, 0).await);
    for key in [&child, &successor, &heir, &apart] {
        assert_eq!(stack.use_key(key).await.status, 200);
    }

    stack.revoke_key(&ada, &heir).await;

    for key in [&child, &successor, &heir] {
        stack
            .use_key(key)
            .await
            .assert_problem(401, "unauthenticated");
    }
    assert_eq!(stack.use_key(&apart).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_it_makes_keys_leaves_none_behind() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let manager = manager(&stack, &ada).await;
    let request = but("limits", json!({"hour": 1_000}));
    let makings = (0..10).map(|_| stack.create_key_by(&manager, request.clone()));

    let (answers, ()) = tokio::join!(join_all(makings), stack.revoke_key(&ada, &manager));

    for answer in answers {
        match answer.status {
            201 => {
                let made = Key::from_answer(&answer);
                stack
                    .use_key(&made)
                    .await
                    .assert_problem(401, "unauthenticated");
            }
            409 => answer.assert_problem(409, "too-many-keys"),
            429 => answer.assert_problem(429, "throttled"),
            _ => answer.assert_problem(401, "unauthenticated"),
        }
    }
    let listed = stack.get(crate::support::KEYS).bearer(&ada.access_token);
    assert_eq!(listed.send().await.body["items"], json!([]));
}

#[tokio::test]
async fn a_hundred_keys_of_one_maker_are_revoked_with_it() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let manager = stack
        .make_key(&ada, json!({"scopes": ["profile:read", "keys:write"]}))
        .await;
    let mut last = manager.clone();
    for _ in 0..99 {
        let request = json!({"scopes": ["profile:read"]});
        last = Key::from_answer(&stack.create_key_by(&manager, request).await);
    }
    assert_eq!(stack.use_key(&last).await.status, 200);

    stack.revoke_key(&ada, &manager).await;

    stack
        .use_key(&last)
        .await
        .assert_problem(401, "unauthenticated");
    let listed = stack.get(crate::support::KEYS).bearer(&ada.access_token);
    assert_eq!(listed.send().await.body["items"], json!([]));
}
