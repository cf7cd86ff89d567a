//! `/api/v1/preferences`.

mod create;
mod delete;
mod replace;
mod show;

use serde_json::{Value, json};

use crate::support::{Account, Answer, Call, TestStack};

const PREFERENCES: &str = "/api/v1/preferences";

/// Preferences as good as any.
fn wish() -> Value {
    json!({
        "topic_preferences": {"geology": 0.9, "arts": {"music": [1, 2.5, null]}},
        "depth_preference": 3,
        "surprise_tolerance": 2,
        "contextual_preferences": {"commuting": {"length": "short"}},
    })
}

/// A wish with one field made another, or taken out.
fn wish_with(field: &str, value: Option<Value>) -> Value {
    let mut wish = wish();
    match value {
        Some(value) => wish[field] = value,
        None => drop(wish.as_object_mut().unwrap().remove(field)),
    }
    wish
}

/// A map of which the JSON has this many bytes.
fn map_of(bytes: usize) -> Value {
    json!({"k": "x".repeat(bytes - r#"{"k":""}"#.len())})
}

async fn send(call: Call, account: &Account, body: &Value) -> Answer {
    call.bearer(&account.access_token).json(body).send().await
}

async fn create(stack: &TestStack, account: &Account, body: &Value) -> Answer {
    send(stack.post(PREFERENCES), account, body).await
}

async fn replace(stack: &TestStack, account: &Account, body: &Value) -> Answer {
    send(stack.put(PREFERENCES), account, body).await
}

async fn show(stack: &TestStack, account: &Account) -> Answer {
    let call = stack.get(PREFERENCES).bearer(&account.access_token);
    call.send().await
}

async fn delete(stack: &TestStack, account: &Account) -> Answer {
    let call = stack.delete(PREFERENCES).bearer(&account.access_token);
    call.send().await
}

/// What is shown but for the times.
fn shown(answer: &Answer) -> Value {
    let mut preferences = answer.body["preferences"].clone();
    let members = preferences.as_object_mut().expect("preferences");
    assert!(members.remove("created_at").is_some() && members.remove("updated_at").is_some());
    preferences
}

/// Bodies that are refused, and what is named of them.
fn refused() -> Vec<(Value, Vec<(&'static str, &'static str)>)> {
    let with = |field: &str, value: Value| wish_with(field, Some(value));
    let mut many = wish();
    many["depth_preference"] = json!(0);
    many["surprise_tolerance"] = json!(6);
    many["topic_preferences"] = map_of(16 * 1024 + 1);
    let mut cases = vec![
        (
            many,
            vec![
                ("topic_preferences", "too-long"),
                ("depth_preference", "out-of-range"),
                ("surprise_tolerance", "out-of-range"),
            ],
        ),
        (with("mood", json!("good")), vec![("mood", "unknown")]),
        (
            with("contextual_preferences", map_of(16 * 1024 + 1)),
            vec![("contextual_preferences", "too-long")],
        ),
    ];
    for depth in [json!(0), json!(7), json!(-1)] {
        cases.push((
            with("depth_preference", depth),
            vec![("depth_preference", "out-of-range")],
        ));
    }
    for tolerance in [json!(0), json!(6)] {
        let named = vec![("surprise_tolerance", "out-of-range")];
        cases.push((with("surprise_tolerance", tolerance), named));
    }
    for (field, value) in [
        ("topic_preferences", json!(["geology"])),
        ("topic_preferences", Value::Null),
        ("depth_preference", json!("3")),
        ("depth_preference", json!(2.5)),
        ("surprise_tolerance", json!(true)),
        ("contextual_preferences", json!("short")),
    ] {
        cases.push((with(field, value), vec![(field, "wrong-type")]));
    }
    for field in [
        "topic_preferences",
        "depth_preference",
        "surprise_tolerance",
        "contextual_preferences",
    ] {
        cases.push((wish_with(field, None), vec![(field, "required")]));
    }
    cases
}
