//! `GET /api/v1/admin/users/{id}/quota`

use serde_json::json;
use turnpike_local::Options;

use crate::admin::{limit, patch, quota_path, without_times};
use crate::support::TestStack;

#[tokio::test]
async fn an_admin_sees_a_users_quota_as_the_user_does() {
    let stack = TestStack::start_as(|options| Options {
        policy: None,
        ..options
    })
    .await;
    let admin = stack.admin().await;
    let helper = stack.register("helper@example.com").await;
    patch(&stack, &admin, &helper, json!({"roles": ["support"]})).await;
    let ada = stack.register("ada@example.com").await;
    stack.me_status(&ada.access_token).await;

    let own = stack.get("/api/v1/users/quota").bearer(&ada.access_token);
    let own = own.send().await;
    let shown = stack.get(&quota_path(&ada)).bearer(&helper.access_token);
    let shown = shown.send().await;

    assert_eq!(shown.status, 200, "{}", shown.text);
    assert_eq!(
        limit(&shown.body, "hour")["used"],
        2,
        "looking counts nothing of the user's"
    );
    assert_eq!(without_times(&shown.body), without_times(&own.body));
}
