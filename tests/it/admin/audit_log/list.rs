//! `GET /api/v1/admin/audit-log`

use serde_json::{Value, json};

use crate::admin::{patch, second_admin};
use crate::support::{Account, Answer, TestStack};

const PATH: &str = "/api/v1/admin/audit-log";

async fn list(stack: &TestStack, by: &Account, query: &str) -> Answer {
    let call = stack.get(&format!("{PATH}?{query}"));
    call.bearer(&by.access_token).send().await
}

async fn pages(stack: &TestStack, by: &Account, size: usize) -> Vec<Value> {
    let (mut entries, mut cursor) = (vec![], String::new());
    loop {
        let page = list(stack, by, &format!("limit={size}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let found = page.body["items"].as_array().unwrap();
        assert!(found.len() <= size);
        entries.extend(found.clone());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}

#[tokio::test]
async fn what_was_done_is_listed_newest_first_each_entry_bound_to_the_one_before() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let helper = stack.register("helper@example.com").await;
    patch(&stack, &admin, &helper, json!({"roles": ["support"]})).await;
    for number in 0..4 {
        stack.register(&format!("user{number}@example.com")).await;
    }
    stack.stack.settle().await.unwrap();

    let all = pages(&stack, &helper, 100).await;

    let changed = all.iter().find(|entry| entry["action"] == "user-changed");
    let changed = changed.expect("the promotion is in it");
    assert_eq!(changed["actor"], admin.id);
    assert_eq!(changed["target"], helper.id);
    assert_eq!(
        changed["details"]["after"],
        json!({"roles": ["user", "support"]})
    );
    for two in all.windows(2) {
        assert_eq!(two[0]["previous_hash"], two[1]["hash"]);
        assert!(two[0]["at"].as_str() >= two[1]["at"].as_str());
    }
    for size in [1, 3] {
        assert_eq!(pages(&stack, &helper, size).await, all, "by {size}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_the_list_and_its_caller() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let other = second_admin(&stack, &admin, "other@example.com").await;
    stack.stack.settle().await.unwrap();
    let page = list(&stack, &admin, "limit=1").await;
    let cursor = format!("cursor={}", page.body["next_cursor"].as_str().unwrap());

    assert_eq!(list(&stack, &admin, &cursor).await.status, 200);
    let users = stack.get(&format!("/api/v1/admin/users?{cursor}"));
    let refused = [
        list(&stack, &other, &cursor).await,
        list(&stack, &admin, &format!("{cursor}A")).await,
        users.bearer(&admin.access_token).send().await,
    ];
    for answer in refused {
        answer.assert_problem(400, "invalid-cursor");
    }
    list(&stack, &admin, "limit=0")
        .await
        .assert_invalid(&[("limit", "out-of-range")]);
}
