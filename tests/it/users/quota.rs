//! `GET /api/v1/users/quota`

use serde_json::{Value, json};

use crate::support::{Account, TestStack};

const PATH: &str = "/api/v1/users/quota";

async fn built_in() -> TestStack {
    TestStack::start_as(|options| turnpike_local::Options {
        policy: None,
        ..options
    })
    .await
}

async fn quota(stack: &TestStack, account: &Account) -> Value {
    let answer = stack.get(PATH).bearer(&account.access_token).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

fn limit<'a>(quota: &'a Value, name: &str) -> &'a Value {
    let mut limits = quota["limits"].as_array().unwrap().iter();
    limits
        .find(|limit| limit["name"] == name)
        .unwrap_or(&Value::Null)
}

fn names(quota: &Value) -> Vec<&str> {
    let limits = quota["limits"].as_array().unwrap().iter();
    limits
        .map(|limit| limit["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_free_user_sees_every_limit_and_what_is_used_of_it() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;

    let first = quota(&stack, &ada).await;
    let second = quota(&stack, &ada).await;

    assert_eq!(first["tier"], "free");
    assert_eq!(first["features"], json!([]));
    assert_eq!(first["concurrent_jobs"], json!({"limit": 5, "used": 0}));
    assert_eq!(
        names(&first),
        [
            "hour",
            "day",
            "month",
            "admin",
            "dataset_ops",
            "query",
            "upload"
        ]
    );
    let (hour, month) = (limit(&first, "hour"), limit(&first, "month"));
    assert_eq!(
        (&hour["limit"], &hour["used"], &hour["remaining"]),
        (&json!(100), &json!(1), &json!(99))
    );
    assert_eq!(
        (&hour["window_seconds"], hour.get("period")),
        (&json!(3_600), None)
    );
    assert_eq!(
        (&hour["source"], &hour["mode"]),
        (&json!("tier"), &json!("enforce"))
    );
    assert!(hour["reset_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&month["period"], month.get("window_seconds")),
        (&json!("month"), None)
    );
    assert_eq!(limit(&first, "query")["source"], "class");
    assert_eq!(limit(&first, "query")["used"], 0);
    assert_eq!(limit(&second, "hour")["used"], 2);
}

#[tokio::test]
async fn what_is_unlimited_is_null_and_not_counted() {
    let stack = built_in().await;
    let admin = stack.admin().await;

    let quota = quota(&stack, &admin).await;

    assert_eq!(quota["tier"], "enterprise");
    assert_eq!(quota["features"], json!(["ai_summarization", "priority"]));
    assert_eq!(quota["concurrent_jobs"]["limit"], Value::Null);
    assert_eq!(names(&quota)[..3], ["hour", "day", "month"]);
    for name in ["hour", "day", "month"] {
        for member in ["limit", "used", "remaining", "reset_at"] {
            assert_eq!(
                limit(&quota, name).get(member),
                Some(&Value::Null),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_sees_its_own_limits_too_and_needs_the_scope() {
    let stack = built_in().await;
    let ada = stack.register("ada@example.com").await;
    let request = json!({"scopes": ["usage:read"], "limits": {"day": 9}});
    let key = stack.make_key(&ada, request).await;
    let without = stack
        .make_key(&ada, json!({"scopes": ["profile:read"]}))
        .await;

    let answer = stack.get(PATH).key(&key.secret).send().await;
    let refused = stack.get(PATH).key(&without.secret).send().await;

    let own = limit(&answer.body, "key-day");
    assert_eq!((&own["limit"], &own["used"]), (&json!(9), &json!(1)));
    assert_eq!(own["source"], "key");
    assert_eq!(
        names(&quota(&stack, &ada).await).len(),
        7,
        "a session has none"
    );
    refused.assert_problem(403, "missing-scope");
}
