//! `GET /api/v1/admin/analytics/usage`

use serde_json::{Value, json};

use crate::admin::patch;
use crate::support::{Account, Answer, TestStack};

async fn usage(stack: &TestStack, by: &Account, query: &str) -> Answer {
    let call = stack.get(&format!("/api/v1/admin/analytics/usage?{query}"));
    call.bearer(&by.access_token).send().await
}

fn count(answer: &Answer, key: &str) -> u64 {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut groups = answer.body["groups"].as_array().unwrap().iter();
    let group = groups.find(|group| group["key"] == key);
    group.map_or(0, |group| group["count"].as_u64().unwrap())
}

#[tokio::test]
async fn what_everybody_asked_for_is_told_by_tier_endpoint_and_day() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    patch(&stack, &admin, &ada, json!({"roles": ["support"]})).await;
    for _ in 0..5 {
        stack.me_status(&ada.access_token).await;
    }
    stack.stack.settle().await.unwrap();

    let by_tier = usage(&stack, &ada, "group_by=tier").await;
    let by_endpoint = usage(&stack, &ada, "group_by=endpoint").await;
    let by_day = usage(&stack, &ada, "").await;

    assert_eq!(count(&by_endpoint, "GET /api/v1/auth/me"), 5);
    assert_eq!(count(&by_endpoint, "PATCH /api/v1/admin/users/{id}"), 1);
    assert!(count(&by_tier, "free") >= 5, "{}", by_tier.text);
    assert_eq!(count(&by_tier, "enterprise"), 1, "{}", by_tier.text);
    let today = &stack.now().to_string()[..10];
    assert_eq!(
        count(&by_day, today),
        by_day.body["total"].as_u64().unwrap()
    );
    let first = &by_endpoint.body["groups"][0];
    assert_eq!(first["errors"], 0);
    assert!(first["p95_ms"].is_u64(), "{first}");
}

#[tokio::test]
async fn only_who_may_read_as_an_admin_sees_it_and_a_bad_parameter_is_named() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let cases: [(&str, (&str, &str)); 3] = [
        ("group_by=user", ("group_by", "invalid")),
        ("from=yesterday", ("from", "invalid")),
        ("granularity=hour", ("granularity", "unknown")),
    ];

    let refused = usage(&stack, &ada, "").await;

    refused.assert_problem(403, "missing-scope");
    for (query, expected) in cases {
        let answer = usage(&stack, &admin, query).await;
        answer.assert_invalid(&[expected]);
        assert_eq!(answer.body["groups"], Value::Null);
    }
}
