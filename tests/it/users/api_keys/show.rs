//! `GET /api/v1/users/api-keys/{id}`

use serde_json::{Value, json};

use crate::support::{KEYS, TestStack};

#[tokio::test]
async fn a_key_is_shown_whole_but_for_the_key() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let request = json!({
        "name": "CI",
        "scopes": ["query:run", "profile:read"],
        "allowed_cidrs": ["2001:DB8::/32", "192.0.2.7"],
        "expires_at": "2090-01-01T01:00:00+01:00",
        "limits": {"hour": 5, "month": 0},
    });
    let created = stack.create_key(&ada, request).await;
    let key = crate::support::Key::from_answer(&created);

    let shown = stack.show_key(&ada, &key).await;

    assert_eq!(shown, created.body["api_key"]);
    assert_eq!(shown["scopes"], json!(["profile:read", "query:run"]));
    assert_eq!(
        shown["allowed_cidrs"],
        json!(["2001:db8::/32", "192.0.2.7/32"])
    );
    assert_eq!(shown["expires_at"], "2090-01-01T00:00:00Z");
    assert_eq!(shown["limits"], json!({"hour": 5, "day": null, "month": 0}));
    assert!(!shown.to_string().contains(&key.secret[8..16]));
}

#[tokio::test]
async fn a_revoked_key_can_be_read() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let before = stack.show_key(&ada, &key).await;

    stack.revoke_key(&ada, &key).await;
    let after = stack.show_key(&ada, &key).await;

    assert_eq!(before["revoked_at"], Value::Null);
    assert!(after["revoked_at"].is_string());
    assert_eq!(after["id"], before["id"]);
}

#[tokio::test]
async fn a_key_that_is_not_the_callers_is_not_there_whatever_is_done_with_it() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let eve = stack.register("eve@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let nobodys = "key_019a9f3c1c2a7d3e8f00112233445566";

    for id in [key.id.as_str(), nobodys, "key_x", &ada.id, "%00"] {
        let path = format!("{KEYS}/{id}");
        let rotate = format!("{path}/rotate");
        let calls = [
            stack.get(&path),
            stack.patch(&path).json(&json!({"name": "Other"})),
            stack.delete(&path),
            stack.post(&rotate).json(&json!({})),
        ];
        for call in calls {
            let answer = call.bearer(&eve.access_token).send().await;
            answer.assert_problem(404, "not-found");
        }
    }
    assert_eq!(stack.use_key(&key).await.status, 200);
}
