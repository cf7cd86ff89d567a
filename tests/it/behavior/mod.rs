//! `/api/v1/behavior`.

mod list;
mod report;

use serde_json::{Value, json};

use crate::support::{Account, Answer, TestStack};

const BEHAVIOR: &str = "/api/v1/behavior";

/// An event about a piece of content.
fn event(content: &str) -> Value {
    json!({"session_id": "visit-7", "content_id": content, "behavior_data": {"action": "read"}})
}

async fn report(stack: &TestStack, account: &Account, events: &[Value]) -> Answer {
    let call = stack.post(BEHAVIOR).bearer(&account.access_token);
    call.json(&json!({"events": events})).send().await
}

async fn list(stack: &TestStack, account: &Account, parameters: &str) -> Answer {
    let call = stack.get(&format!("{BEHAVIOR}{parameters}"));
    call.bearer(&account.access_token).send().await
}

fn contents(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().expect("a list").iter();
    items
        .map(|item| item["content_id"].as_str().unwrap())
        .collect()
}
