//! `POST /api/v1/limits/check`

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Answer, TestStack};

const PATH: &str = "/api/v1/limits/check";

fn request() -> Value {
    json!({"identifier": "customer-17", "namespace": "exports", "limit": 3, "window_seconds": 60})
}

fn but(member: &str, value: Value) -> Value {
    let mut request = request();
    request[member] = value;
    request
}

async fn check(stack: &TestStack, account: &Account, request: Value) -> Answer {
    let call = stack.post(PATH).bearer(&account.access_token);
    call.json(&request).send().await
}

async fn allowed(stack: &TestStack, account: &Account, request: Value) -> bool {
    let answer = check(stack, account, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["allowed"].as_bool().unwrap()
}

#[tokio::test]
async fn a_limit_admits_as_much_as_it_says_and_again_when_its_window_has_passed() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;

    let first = check(&stack, &admin, request()).await.body;
    let rest = check(&stack, &admin, but("cost", json!(2))).await.body;
    let refused = check(&stack, &admin, request()).await.body;
    stack.pass(Duration::from_secs(62));
    let later = check(&stack, &admin, request()).await.body;

    let shown = |body: &Value| (body["allowed"].clone(), body["remaining"].clone());
    assert_eq!(shown(&first), (json!(true), json!(2)));
    assert_eq!(shown(&rest), (json!(true), json!(0)));
    assert_eq!(shown(&refused), (json!(false), json!(0)));
    assert_eq!(shown(&later), (json!(true), json!(2)));
    assert_eq!(first["limit"], 3);
    assert!(first["reset_at"].is_string() && refused["reset_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_checks_as_many_are_admitted_as_the_limit_says() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;

    let answers = join_all((0..20).map(|_| allowed(&stack, &admin, request()))).await;

    assert_eq!(answers.into_iter().filter(|allowed| *allowed).count(), 3);
}

#[tokio::test]
async fn callers_namespaces_identifiers_and_windows_are_counted_apart() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let full = but("cost", json!(3));
    assert!(allowed(&stack, &admin, full.clone()).await);
    assert!(!allowed(&stack, &admin, request()).await);
    let others = [
        but("identifier", json!("customer-18")),
        but("namespace", json!("imports")),
        but("window_seconds", json!(61)),
    ];

    for other in others {
        assert!(allowed(&stack, &admin, other).await);
    }
    let roles = aws_sdk_dynamodb::types::AttributeValue::L(
        ["user", "admin"]
            .map(|role| aws_sdk_dynamodb::types::AttributeValue::S(role.into()))
            .into(),
    );
    let eve = stack.register("eve@example.com").await;
    stack.set_user_attribute(&eve.id, "roles", roles).await;
    assert!(allowed(&stack, &eve, full).await, "another caller's");
}

#[tokio::test]
async fn what_can_never_be_admitted_is_refused_without_a_time_and_counts_nothing() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    assert!(allowed(&stack, &admin, request()).await);

    let dear = check(&stack, &admin, but("cost", json!(4))).await.body;
    let zero = check(&stack, &admin, but("limit", json!(0))).await.body;

    assert_eq!(
        dear,
        json!({"allowed": false, "limit": 3, "remaining": 2, "reset_at": null})
    );
    assert_eq!(
        zero,
        json!({"allowed": false, "limit": 0, "remaining": 0, "reset_at": null})
    );
    assert!(allowed(&stack, &admin, but("cost", json!(2))).await);
}

#[tokio::test]
async fn a_bad_request_is_told_every_field() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let cases = [
        (but("identifier", json!("")), ("identifier", "too-short")),
        (
            but("identifier", json!("x".repeat(257))),
            ("identifier", "too-long"),
        ),
        (but("namespace", json!("")), ("namespace", "invalid")),
        (but("namespace", json!("Exports")), ("namespace", "invalid")),
        (
            but("namespace", json!("x".repeat(33))),
            ("namespace", "invalid"),
        ),
        (but("limit", json!(-1)), ("limit", "out-of-range")),
        (
            but("limit", json!(1_000_000_001)),
            ("limit", "out-of-range"),
        ),
        (but("limit", json!(1.5)), ("limit", "wrong-type")),
        (
            but("window_seconds", json!(0)),
            ("window_seconds", "out-of-range"),
        ),
        (
            but("window_seconds", json!(2_678_401)),
            ("window_seconds", "out-of-range"),
        ),
        (but("cost", json!(0)), ("cost", "out-of-range")),
        (but("cost", json!(1_000_001)), ("cost", "out-of-range")),
        (but("key", json!("x")), ("key", "unknown")),
    ];

    for (request, expected) in cases {
        check(&stack, &admin, request)
            .await
            .assert_invalid(&[expected]);
    }
    let bounds = [
        but("identifier", json!("\u{e4}".repeat(256))),
        but("limit", json!(1_000_000_000)),
        but("window_seconds", json!(2_678_400)),
        but("window_seconds", json!(1)),
    ];
    for request in bounds {
        assert!(allowed(&stack, &admin, request).await);
    }
}

#[tokio::test]
async fn who_may_not_check_limits_is_refused() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let admin = stack.admin().await;
    let key = stack
        .make_key(&admin, json!({"scopes": ["limits:check"]}))
        .await;

    let by_user = check(&stack, &ada, request()).await;
    let by_key = stack
        .post(PATH)
        .key(&key.secret)
        .json(&request())
        .send()
        .await;

    by_user.assert_problem(403, "missing-scope");
    assert_eq!(by_key.status, 200);
}
