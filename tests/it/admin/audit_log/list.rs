//! `GET /api/v1/admin/audit-log`

use serde_json::{Value, json};

use super::PATH;
use crate::support::TestStack;

async fn page(stack: &TestStack, token: &str, query: &str) -> Value {
    let call = stack.get(&format!("{PATH}?{query}")).bearer(token);
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

#[tokio::test]
async fn entries_are_listed_newest_first_with_what_binds_them() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let admin = stack.admin().await;
    stack.stack.settle().await.unwrap();

    let listed = page(&stack, &admin.access_token, "").await;

    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &listed["next_cursor"]), (3, &Value::Null));
    let actions: Vec<&Value> = items.iter().map(|item| &item["action"]).collect();
    assert_eq!(
        actions,
        ["session-began", "user-registered", "user-registered"]
    );
    let mut registered = items[1].clone();
    for bound in ["id", "at", "hash"] {
        assert!(
            registered
                .as_object_mut()
                .unwrap()
                .remove(bound)
                .unwrap()
                .is_string()
        );
    }
    let expected = json!({
        "actor": "anonymous",
        "action": "user-registered",
        "target": ada.id,
        "details": {"session": ada.session_id},
        "previous_hash": items[2]["hash"],
    });
    assert_eq!(registered, expected);
    assert_eq!(items[0]["details"], json!({}), "there is always an object");
    assert_eq!(items[2]["previous_hash"], "A".repeat(43).as_str());
}

#[tokio::test]
async fn pages_follow_each_other_while_entries_are_added_and_a_foreign_cursor_is_refused() {
    let stack = TestStack::start().await;
    for n in 0..4 {
        stack.register(&format!("user{n}@example.com")).await;
    }
    let admin = stack.admin().await;
    let token = admin.access_token.as_str();
    stack.stack.settle().await.unwrap();

    let first = page(&stack, token, "limit=4").await;
    stack.register("later@example.com").await;
    stack.stack.settle().await.unwrap();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&stack, token, &format!("limit=4&cursor={cursor}")).await;

    let ids = |page: &Value| -> Vec<Value> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].clone())
            .collect()
    };
    let all = ids(&page(&stack, token, "limit=7").await);
    assert_eq!([ids(&first), ids(&second)].concat(), all[1..]);
    assert_eq!(second["next_cursor"], Value::Null);
    let users = stack.get(&format!("/api/v1/admin/users?cursor={cursor}"));
    let answer = users.bearer(token).send().await;
    answer.assert_problem(400, "invalid-cursor");
    let answer = stack
        .get(&format!("{PATH}?limit=0"))
        .bearer(token)
        .send()
        .await;
    answer.assert_problem(422, "validation-failed");
}

#[tokio::test]
async fn support_may_read_it_and_nobody_else() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let body = json!({"roles": ["user", "support"]});
    let path = format!("/api/v1/admin/users/{}", ada.id);
    let refused = stack.get(PATH).bearer(&ada.access_token).send().await;

    let call = stack.patch(&path).bearer(&admin.access_token).json(&body);
    assert_eq!(call.send().await.status, 200);
    let read = stack.get(PATH).bearer(&ada.access_token).send().await;

    refused.assert_problem(403, "missing-scope");
    assert_eq!(read.status, 200, "{}", read.text);
}
