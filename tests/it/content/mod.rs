//! `/api/v1/content/{location_id}`.

mod conditions;
mod crashes;
mod delete;
mod expiry;
mod put;
mod races;
mod show;
mod soundness;

use serde_json::{Value, json};

use crate::support::{Account, Answer, Call, TestStack};

fn path(location: &str) -> String {
    format!("/api/v1/content/{location}")
}

/// Content as good as any.
fn wish() -> Value {
    json!({
        "content_type": "article",
        "source_apis": ["library", "press"],
        "quality_score": 0.87,
        "metadata": {"title": "On whales", "pages": [1, 2.5, null]},
    })
}

fn wish_with(field: &str, value: Value) -> Value {
    let mut wish = wish();
    wish[field] = value;
    wish
}

async fn put(stack: &TestStack, account: &Account, location: &str, body: &Value) -> Answer {
    let call = stack.put(&path(location)).bearer(&account.access_token);
    call.json(body).send().await
}

/// Puts content and returns its entity tag.
async fn put_well(stack: &TestStack, account: &Account, location: &str, body: &Value) -> String {
    let answer = put(stack, account, location, body).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    answer.header("etag").to_owned()
}

async fn show(stack: &TestStack, account: &Account, location: &str) -> Answer {
    let call = stack.get(&path(location)).bearer(&account.access_token);
    call.send().await
}

async fn delete(stack: &TestStack, account: &Account, location: &str) -> Answer {
    let call = stack.delete(&path(location)).bearer(&account.access_token);
    call.send().await
}

/// A call with one more header.
async fn under(call: Call, account: &Account, name: &str, value: &str) -> Answer {
    call.bearer(&account.access_token)
        .header(name, value)
        .send()
        .await
}
