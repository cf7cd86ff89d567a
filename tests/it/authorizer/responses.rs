//! What API Gateway, and the API behind it, are told.

use serde_json::{Value, json};

use super::{
    ROUTE_ARN, answering_with_policies, authorize, http_event, rest_event, with_key, with_token,
};
use crate::support::TestStack;

#[tokio::test]
async fn a_session_and_a_key_are_let_in_and_described_to_the_api_behind() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack
        .make_key(&ada, json!({"scopes": ["usage:read", "query:run"]}))
        .await;

    let session = authorize(&stack, &with_token(&ada.access_token)).await;
    let by_key = authorize(&stack, &with_key(&key.secret)).await;

    assert_eq!(
        [&session["isAuthorized"], &by_key["isAuthorized"]],
        [true, true]
    );
    let (session, by_key) = (&session["context"], &by_key["context"]);
    for context in [session, by_key] {
        assert_eq!(
            (&context["user_id"], &context["tier"]),
            (&json!(ada.id), &json!("free"))
        );
        assert_eq!(context["limit"], 1_000_000);
        assert!(context["reset"].as_i64().unwrap() > stack.now().seconds());
        assert!(context["code"].is_null() && context["retry_after"].is_null());
    }
    assert_eq!(
        (&session["session_id"], &session["key_id"]),
        (&json!(ada.session_id), &Value::Null)
    );
    assert_eq!(
        (&by_key["key_id"], &by_key["session_id"]),
        (&json!(key.id), &Value::Null)
    );
    assert_eq!(by_key["scopes"], "usage:read query:run");
    let remaining = |context: &Value| context["remaining"].as_u64().unwrap();
    assert_eq!(
        remaining(by_key),
        remaining(session) - 1,
        "one was counted between them"
    );
}

#[tokio::test]
async fn somebody_without_limits_has_none_left_to_tell_of() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;

    let answer = authorize(&stack, &with_token(&admin.access_token)).await;

    assert_eq!(answer["isAuthorized"], true);
    assert_eq!(answer["context"]["tier"], "enterprise");
    assert!(answer["context"]["limit"].is_null() && answer["context"]["remaining"].is_null());
}

#[tokio::test]
async fn a_policy_allows_or_denies_the_one_route_that_was_asked_for() {
    let stack = TestStack::start_with(answering_with_policies).await;
    let ada = stack.register("ada@example.com").await;
    let bearer = format!("Bearer {}", ada.access_token);
    let statement = |effect: &str| {
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": effect, "Resource": ROUTE_ARN}
            ],
        })
    };

    let by_rest = authorize(&stack, &rest_event(&[("Authorization", &[&bearer])])).await;
    let by_http = authorize(&stack, &with_token(&ada.access_token)).await;
    let denied = authorize(&stack, &rest_event(&[])).await;

    for allowed in [&by_rest, &by_http] {
        assert_eq!(allowed["policyDocument"], statement("Allow"));
        assert_eq!(allowed["principalId"], json!(ada.id));
    }
    assert_eq!(denied["policyDocument"], statement("Deny"));
    assert_eq!(denied["principalId"], "nobody");
    assert_eq!(denied["context"]["code"], "unauthenticated");
    for answer in [by_rest, by_http, denied] {
        for value in answer["context"].as_object().unwrap().values() {
            assert!(
                value.is_string() || value.is_number(),
                "REST APIs take {value} for none"
            );
        }
    }
}

#[tokio::test]
async fn a_path_with_wildcards_makes_no_policy_for_others() {
    let stack = TestStack::start_with(answering_with_policies).await;
    let ada = stack.register("ada@example.com").await;
    let bearer = format!("Bearer {}", ada.access_token);
    let mut event = rest_event(&[("Authorization", &[&bearer])]);
    event["methodArn"] = json!(ROUTE_ARN.replace("orders/7", "orders/*/?"));

    let answer = authorize(&stack, &event).await;

    let resource = &answer["policyDocument"]["Statement"][0]["Resource"];
    assert_eq!(*resource, ROUTE_ARN.replace("orders/7", "orders/%2A/%3F"));
}

#[tokio::test]
async fn a_policy_without_a_route_is_given_to_nobody() {
    let stack = TestStack::start_with(answering_with_policies).await;
    let ada = stack.register("ada@example.com").await;
    let mut event = with_token(&ada.access_token);
    event.as_object_mut().unwrap().remove("routeArn");

    let answer = super::invoke(&stack, &event).await;

    assert_eq!(answer.header("x-amz-function-error"), "Unhandled");
    assert_eq!(answer.body["errorMessage"], "the event names no route");
}

#[tokio::test]
async fn a_credential_without_the_scopes_that_are_asked_for_is_refused() {
    let stack =
        TestStack::start_with(|env| env.with("TURNPIKE_AUTHORIZER_SCOPES", "query:run usage:read"))
            .await;
    let ada = stack.register("ada@example.com").await;
    let both = stack
        .make_key(&ada, json!({"scopes": ["usage:read", "query:run"]}))
        .await;
    let one = stack
        .make_key(&ada, json!({"scopes": ["usage:read"]}))
        .await;

    let with_both = super::verdict(&stack, &with_key(&both.secret)).await;
    let with_one = super::verdict(&stack, &with_key(&one.secret)).await;
    let of_nobody = super::verdict(&stack, &http_event(&json!({}))).await;

    assert_eq!(with_both, super::let_in());
    assert_eq!(with_one, super::refused("missing-scope"));
    assert_eq!(of_nobody, super::refused("unauthenticated"));
}
