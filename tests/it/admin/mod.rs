//! `/api/v1/admin`, and what all of it has in common.

mod in_force;
mod policy;
mod users;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::support::{Account, Answer, TestStack};

const USERS: &str = "/api/v1/admin/users";

fn path_of(user: &Account) -> String {
    format!("{USERS}/{}", user.id)
}

fn quota_path(user: &Account) -> String {
    format!("{USERS}/{}/quota", user.id)
}

async fn patch(stack: &TestStack, by: &Account, user: &Account, change: Value) -> Answer {
    let call = stack.patch(&path_of(user)).bearer(&by.access_token);
    call.json(&change).send().await
}

/// Promotes `email` to an admin by the first one.
async fn second_admin(stack: &TestStack, first: &Account, email: &str) -> Account {
    let second = stack.register(email).await;
    let promoted = patch(stack, first, &second, json!({"roles": ["admin"]})).await;
    assert_eq!(promoted.status, 200, "{}", promoted.text);
    second
}

/// A limit of a quota, by its name.
fn limit<'a>(quota: &'a Value, name: &str) -> &'a Value {
    let mut limits = quota["limits"].as_array().unwrap().iter();
    limits.find(|limit| limit["name"] == name).unwrap()
}

/// A quota without the times, which for a limit that nothing is used of are those of the answer.
fn without_times(quota: &Value) -> Value {
    let mut quota = quota.clone();
    for limit in quota["limits"].as_array_mut().unwrap() {
        limit["reset_at"] = Value::Null;
    }
    quota
}

/// What was left for the audit log about a user, oldest first.
async fn audited(stack: &TestStack, user: &Account) -> Vec<Value> {
    let client = stack.dynamodb().await;
    let hour = stack.now().seconds() / 3_600;
    let mut entries = vec![];
    for hour in [hour - 1, hour] {
        let found = client
            .query()
            .table_name("IdentityTable")
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("AUDIT#{hour}")))
            .send()
            .await
            .unwrap();
        let items = found.items.unwrap_or_default().into_iter();
        entries.extend(items.map(|item| plain(&item["entry"])));
    }
    let is_about_a_change = |entry: &Value| {
        let action = entry["action"].as_str().unwrap();
        let of_admins = ["user-changed", "sessions-revoked"];
        of_admins.contains(&action) || action.starts_with("quota-")
    };
    entries.retain(|entry| entry["target"] == user.id && is_about_a_change(entry));
    entries
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(number) => serde_json::from_str(number).unwrap(),
        AttributeValue::Bool(is_so) => json!(is_so),
        AttributeValue::L(items) => items.iter().map(plain).collect(),
        AttributeValue::M(members) => {
            let members = members.iter();
            members
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect()
        }
        _ => Value::Null,
    }
}
