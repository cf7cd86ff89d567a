//! `/api/v1/admin`, and what all of it has in common.

mod analytics;
mod audit_log;
mod cache;
mod in_force;
mod policy;
mod upstreams;
mod users;

use serde_json::{Value, json};

use crate::audit::settled_log;
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

/// What the audit log says of changes of a user by admins, oldest first.
async fn audited(stack: &TestStack, user: &Account) -> Vec<Value> {
    let is_about_a_change = |entry: &Value| {
        let action = entry["action"].as_str().unwrap();
        let of_admins = ["user-changed", "sessions-revoked"];
        entry["target"] == user.id && (of_admins.contains(&action) || action.starts_with("quota-"))
    };
    let mut entries = settled_log(stack).await;
    entries.retain(|entry| entry["target"] == user.id && is_about_a_change(entry));
    entries
}
