//! Events that are unusual, malformed, or make a handler fail: the function stays alive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::emulator::event;
use super::{Emulator, Invocation};
use crate::support::{PASSWORD, TestStack};

fn assert_alive(answer: &Invocation) {
    assert_eq!(answer.status, 200, "{}", answer.raw);
}

async fn jwks(auth: &Emulator) -> Invocation {
    auth.call("GET", "/.well-known/jwks.json", None, None).await
}

#[tokio::test]
async fn a_base64_body_is_read_like_a_plain_one() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let mut encoded = event("POST", "/api/v1/auth/register");
    encoded["headers"]["content-type"] = json!("application/json");
    encoded["body"] = json!(STANDARD.encode(body));
    encoded["isBase64Encoded"] = json!(true);

    let answer = auth.answer(&encoded).await;

    assert_eq!(answer.status, 201, "{}", answer.raw);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn cookies_and_repeated_headers_do_not_disturb() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let mut with_cookies = event("GET", "/api/v1/auth/me");
    with_cookies["cookies"] = json!(["a=1", "b=2; c=3", "=;;", "é=ü"]);
    with_cookies["headers"]["x-request-id"] = json!("my-request-1");

    let answer = auth.answer(&with_cookies).await;

    assert_eq!(
        (answer.status, &answer.body["code"]),
        (401, &json!("unauthenticated"))
    );
    assert_eq!(answer.headers["x-request-id"], "my-request-1");
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_problem_and_the_function_goes_on() {
    let stack = TestStack::start().await;
    let variables = [("TURNPIKE_TEST_PANIC_PATH", "/api/v1/auth/login")];
    let auth = Emulator::start_with("auth", &stack, &variables).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});

    for _ in 0..2 {
        let panicked = auth
            .call("POST", "/api/v1/auth/login", None, Some(&body))
            .await;
        assert_eq!(
            (panicked.status, &panicked.body["code"]),
            (500, &json!("internal-error"))
        );
        assert_eq!(panicked.headers["content-type"], "application/problem+json");
        assert_eq!(
            panicked.body["request_id"],
            panicked.headers["x-request-id"].as_str()
        );
        assert!(
            !panicked.raw.to_string().contains("told to"),
            "a 5xx never tells why"
        );
        assert_alive(&jwks(&auth).await);
    }
}

#[tokio::test]
async fn a_malformed_event_is_an_error_of_its_invocation_alone() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let mut no_method = event("GET", "/");
    no_method["requestContext"]["http"]["method"] = json!("NOT A METHOD");
    let mut bad_path = event("GET", "/");
    bad_path["rawPath"] = json!("/a path with spaces");
    let mut bad_base64 = event("POST", "/api/v1/auth/login");
    bad_base64["body"] = json!("%%%");
    bad_base64["isBase64Encoded"] = json!(true);
    let cases = [
        json!({}),
        json!([]),
        json!("event"),
        json!({"version": "2.0"}),
        json!({"Records": [{"eventSource": "aws:sqs", "body": "x"}]}),
        no_method,
        bad_path,
        bad_base64,
        Value::Null,
    ];

    for case in cases {
        let answer = auth.invoke(&case).await;
        let is_success = answer["statusCode"]
            .as_u64()
            .is_some_and(|status| status < 400);
        assert!(!is_success, "{case}: {answer}");
        assert_alive(&jwks(&auth).await);
    }
}
