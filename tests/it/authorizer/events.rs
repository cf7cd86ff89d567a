//! What is no request, and what is recorded of one.

use serde_json::{Value, json};

use super::{http_event, invoke, rest_event, verdict, with_key};
use crate::support::TestStack;

#[tokio::test]
async fn what_is_no_request_is_a_failure_and_never_let_in() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let mut token_kind =
        http_event(&json!({"authorization": format!("Bearer {}", ada.access_token)}));
    token_kind["type"] = json!("TOKEN");

    for event in [
        json!({}),
        json!([]),
        Value::Null,
        json!({"type": "REQUEST"}),
        token_kind,
    ] {
        let answer = invoke(&stack, &event).await;
        assert_eq!(
            answer.header("x-amz-function-error"),
            "Unhandled",
            "{event}"
        );
        assert!(answer.body["isAuthorized"].is_null(), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_request_is_recorded_as_the_route_that_the_api_declares() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack
        .make_key(&ada, json!({"allowed_cidrs": ["203.0.113.7"]}))
        .await;
    let mut from_elsewhere = with_key(&key.secret);
    from_elsewhere["requestContext"]["http"]["sourceIp"] = json!("198.51.100.1");
    let mut by_default = with_key(&key.secret);
    by_default["routeKey"] = json!("$default");

    for event in [
        with_key(&key.secret),
        rest_event(&[("x-api-key", &[&key.secret])]),
        by_default,
        from_elsewhere,
        http_event(&json!({})),
    ] {
        verdict(&stack, &event).await;
    }

    stack.stack.recorder.flush().await;
    let records = crate::recording::records(&stack.dynamodb().await).await;
    let of_authorizer = records
        .iter()
        .filter(|record| !record.path.starts_with("/api/v1"));
    let shown: Vec<_> = of_authorizer
        .map(|record| {
            let caller = record.caller.as_ref().unwrap().user.to_string();
            assert_eq!((caller, record.charged), (ada.id.clone(), 1));
            (record.method.as_str(), record.path.as_str(), record.status)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("GET", "/orders/{id}", 200),
            ("GET", "/orders/{id}", 200),
            ("ANY", "$default", 200),
            ("GET", "/orders/{id}", 403),
        ]
    );
}
