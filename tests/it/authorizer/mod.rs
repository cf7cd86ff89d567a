//! The function `authorizer`, by the invoke path and by itself.

mod credentials;
mod events;
mod limits;
mod outage;
mod responses;

use serde_json::{Value, json};
use turnpike_shared::config::Environment;

use crate::support::{Answer, TestStack};

const INVOKE: &str = "/2015-03-31/functions/authorizer/invocations";
const ROUTE_ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:api/$default/GET/orders/7";
const IP: &str = "203.0.113.7";

/// What an HTTP API tells of a request, in format 2.0.
fn http_event(headers: &Value) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": ROUTE_ARN,
        "identitySource": null,
        "routeKey": "GET /orders/{id}",
        "rawPath": "/orders/7",
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "http": {
                "method": "GET",
                "path": "/orders/7",
                "protocol": "HTTP/1.1",
                "sourceIp": IP,
                "userAgent": "test/1.0",
            },
            "requestId": "id",
            "routeKey": "GET /orders/{id}",
            "stage": "$default",
            "timeEpoch": 1_795_204_800_000_i64,
        },
        "pathParameters": {"id": "7"},
    })
}

/// What a REST API tells of it.
fn rest_event(headers: &[(&str, &[&str])]) -> Value {
    let last = headers.iter().map(|(name, values)| (*name, values.last()));
    let last: serde_json::Map<String, Value> = last
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let all: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, values)| ((*name).to_owned(), json!(values)))
        .collect();
    json!({
        "type": "REQUEST",
        "methodArn": ROUTE_ARN,
        "resource": "/orders/{id}",
        "path": "/orders/7",
        "httpMethod": "GET",
        "headers": last,
        "multiValueHeaders": all,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "httpMethod": "GET",
            "identity": {"sourceIp": IP, "userAgent": "test/1.0"},
            "path": "/prod/orders/7",
            "requestId": "id",
            "resourcePath": "/orders/{id}",
            "stage": "prod",
        },
    })
}

fn with_key(key: &str) -> Value {
    http_event(&json!({"x-api-key": key}))
}

fn with_token(token: &str) -> Value {
    http_event(&json!({"authorization": format!("Bearer {token}")}))
}

async fn invoke(stack: &TestStack, event: &Value) -> Answer {
    stack.post(INVOKE).json(event).send().await
}

/// The answer to an event, which is one.
async fn authorize(stack: &TestStack, event: &Value) -> Value {
    let answer = invoke(stack, event).await;
    assert_eq!(answer.header("x-amz-function-error"), "", "{}", answer.text);
    answer.body
}

/// Whether an event is let in, and why not.
async fn verdict(stack: &TestStack, event: &Value) -> (bool, String) {
    let answer = authorize(stack, event).await;
    let code = answer["context"]["code"].as_str().unwrap_or_default();
    (answer["isAuthorized"].as_bool().unwrap(), code.to_owned())
}

fn let_in() -> (bool, String) {
    (true, String::new())
}

fn refused(code: &str) -> (bool, String) {
    (false, code.to_owned())
}

fn answering_with_policies(env: Environment) -> Environment {
    env.with("TURNPIKE_AUTHORIZER_RESPONSE", "iam")
}
