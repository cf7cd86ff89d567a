//! `GET /api/v1/users/limits/explain`

use serde_json::{Value, json};

use crate::support::{Account, Answer, TestStack};

async fn built_in() -> TestStack {
    TestStack::start_as(|options| turnpike_local::Options {
        policy: None,
        ..options
    })
    .await
}

async fn explain(stack: &TestStack, account: &Account, method: &str, path: &str) -> Answer {
    let path = format!("/api/v1/users/limits/explain?method={method}&path={path}");
    stack.get(&path).bearer(&account.access_token).send().await
}

fn names(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let checks = answer.body["checks"].as_array().unwrap().iter();
    checks
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_checks_of_a_route_are_those_that_a_request_would_meet() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;
    let cases: [(&str, &str, &[&str]); 9] = [
        ("GET", "/api/v1/users/me", &["hour", "day", "month"]),
        ("HEAD", "/api/v1/users/me", &["hour", "day", "month"]),
        (
            "DELETE",
            "/api/v1/users/api-keys/key_1",
            &["hour", "day", "month"],
        ),
        ("POST", "/api/v1/keys/verify", &["hour", "day", "month"]),
        ("POST", "/api/v1/auth/login", &["auth"]),
        ("POST", "/api/v1/auth/register", &["register"]),
        ("POST", "/api/v1/auth/refresh", &["token"]),
        ("GET", "/health", &[]),
        ("GET", "/api/v1/users/limits/explain", &[]),
    ];

    for (method, path, expected) in cases {
        let answer = explain(&stack, &ada, method, path).await;

        assert_eq!(names(&answer), expected, "{method} {path}");
        assert_eq!(answer.body["decision"], "allow");
    }
    // The registration above is in the address's count.
    let register = explain(&stack, &ada, "POST", "/api/v1/auth/register").await;
    assert_eq!(register.body["checks"][0]["used"], 1);
}

#[tokio::test]
async fn explaining_counts_nowhere() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;

    for _ in 0..3 {
        let answer = explain(&stack, &ada, "GET", "/api/v1/users/me").await;
        assert_eq!(answer.body["checks"][0]["used"], 0, "{}", answer.text);
        assert_eq!(answer.header("ratelimit"), "");
    }
}

#[tokio::test]
async fn who_has_used_up_their_limit_is_told_so_and_when_it_ends() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({"limits": {"hour": 1}})).await;
    let explain = async || {
        let path = "/api/v1/users/limits/explain?method=GET&path=/api/v1/users/me";
        stack.get(path).key(&key.secret).send().await
    };

    let before = explain().await;
    stack.use_key(&key).await;
    let after = explain().await;

    assert_eq!(before.body["decision"], "allow", "{}", before.text);
    assert_eq!(after.body["decision"], "deny", "{}", after.text);
    let checks = after.body["checks"].as_array().unwrap();
    let own = checks
        .iter()
        .find(|check| check["name"] == "key-hour")
        .unwrap();
    assert_eq!(
        (&own["remaining"], &own["source"]),
        (&json!(0), &json!("key"))
    );
    assert!(own["reset_at"].is_string());
}

#[tokio::test]
async fn what_is_no_route_is_told_by_field() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("path=/health", &[("method", "required")]),
        ("method=GET", &[("path", "required")]),
        ("method=FETCH&path=/health", &[("method", "invalid")]),
        ("method=get&path=/health", &[("method", "invalid")]),
        ("method=POST&path=/health", &[("method", "invalid")]),
        ("method=GET&path=/api/v1/nothing", &[("path", "invalid")]),
        (
            "method=FETCH&path=",
            &[("method", "invalid"), ("path", "invalid")],
        ),
        ("method=GET&path=/health&cost=2", &[("cost", "unknown")]),
    ];

    for (query, expected) in cases {
        let path = format!("/api/v1/users/limits/explain?{query}");
        let answer = stack.get(&path).bearer(&ada.access_token).send().await;
        answer.assert_invalid(expected);
    }
}

#[tokio::test]
async fn a_revoked_key_is_told_nothing() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let path = "/api/v1/users/limits/explain?method=GET&path=/health";
    let ask = async || stack.get(path).key(&key.secret).send().await;
    assert_eq!(ask().await.body["checks"], Value::Array(vec![]));

    stack.revoke_key(&ada, &key).await;

    ask().await.assert_problem(401, "unauthenticated");
}
