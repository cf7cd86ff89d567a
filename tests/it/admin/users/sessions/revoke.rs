//! `POST /api/v1/admin/users/{id}/sessions/revoke`

use serde_json::json;

use crate::admin::{audited, patch, path_of};
use crate::support::TestStack;

#[tokio::test]
async fn every_session_ends_at_once_and_keys_stay() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let other = stack.login("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let path = format!("{}/sessions/revoke", path_of(&ada));

    let revoked = stack.post(&path).bearer(&admin.access_token).send().await;

    assert_eq!(revoked.status, 204, "{}", revoked.text);
    for account in [&ada, &other] {
        assert_eq!(stack.me_status(&account.access_token).await, 401);
        let body = json!({"refresh_token": account.refresh_token});
        let refreshed = stack.post("/api/v1/auth/refresh").json(&body).send().await;
        refreshed.assert_problem(401, "invalid-refresh-token");
    }
    assert_eq!(stack.use_key(&key).await.status, 200);
    let again = stack.login("ada@example.com").await;
    assert_eq!(stack.me_status(&again.access_token).await, 200);
    let entries = audited(&stack, &ada).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["action"], "sessions-revoked");
    assert_eq!(entries[0]["actor"], admin.id);
}

#[tokio::test]
async fn an_inactive_user_has_no_session_to_end() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    patch(&stack, &admin, &ada, json!({"is_active": false})).await;
    let path = format!("{}/sessions/revoke", path_of(&ada));

    let revoked = stack.post(&path).bearer(&admin.access_token).send().await;

    assert_eq!(revoked.status, 204, "{}", revoked.text);
    assert_eq!(
        audited(&stack, &ada).await.len(),
        1,
        "the deactivation alone"
    );
}
