//! `GET /api/v1/admin/audit-log/verify`

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::support::{Account, TestStack};

async fn verify(stack: &TestStack, by: &Account) -> Value {
    let call = stack.get("/api/v1/admin/audit-log/verify");
    let answer = call.bearer(&by.access_token).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

#[tokio::test]
async fn a_log_that_is_whole_is_valid_and_the_first_entry_that_was_altered_is_named() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    for number in 0..3 {
        stack.register(&format!("user{number}@example.com")).await;
    }
    stack.stack.settle().await.unwrap();
    let whole = verify(&stack, &admin).await;
    let list = stack.get("/api/v1/admin/audit-log?limit=100");
    let list = list.bearer(&admin.access_token).send().await;
    let entries = list.body["items"].as_array().unwrap();
    let third = &entries[entries.len() - 3];
    let client = stack.dynamodb().await;
    let all = client.scan().table_name("AuditTable").send().await.unwrap();
    let id = third["id"].as_str().unwrap();
    let holds_it = |value: &AttributeValue| value.as_s().is_ok_and(|text| text.contains(id));
    let is_third = |item: &&std::collections::HashMap<_, _>| item.values().any(holds_it);
    let mut item = all.items().iter().find(is_third).unwrap().clone();
    let text = item.values_mut().find(|value| holds_it(value)).unwrap();
    let altered = text
        .as_s()
        .unwrap()
        .replace("user-registered", "user-changed");
    let altered = altered.replace("anonymous", "system");
    *text = AttributeValue::S(altered);

    let put = client.put_item().table_name("AuditTable");
    put.set_item(Some(item)).send().await.unwrap();
    let broken = verify(&stack, &admin).await;

    assert_eq!(
        whole,
        json!({"valid": true, "entries": entries.len(), "first_broken": null, "next_cursor": null})
    );
    assert_eq!(
        broken,
        json!({"valid": false, "entries": 2, "first_broken": id, "next_cursor": null})
    );
}

#[tokio::test]
async fn a_cursor_that_nobody_was_given_is_refused() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    stack.register("ada@example.com").await;
    stack.stack.settle().await.unwrap();
    let list = stack.get("/api/v1/admin/audit-log?limit=1");
    let list = list.bearer(&admin.access_token).send().await;
    let of_list = list.body["next_cursor"].as_str().unwrap();

    for cursor in ["junk", of_list] {
        let call = stack.get(&format!("/api/v1/admin/audit-log/verify?cursor={cursor}"));
        let answer = call.bearer(&admin.access_token).send().await;
        answer.assert_problem(400, "invalid-cursor");
    }
}
