//! `DELETE /api/v1/admin/users/{id}/quota`

use serde_json::json;
use turnpike_local::Options;

use crate::admin::{audited, limit, quota_path};
use crate::support::TestStack;

#[tokio::test]
async fn the_tiers_limits_hold_again_on_the_next_request() {
    let stack = TestStack::start_as(|options| Options {
        policy: None,
        ..options
    })
    .await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let path = quota_path(&ada);
    let lifted = json!({"limits": {"hour": null, "day": 5}, "reason": "load test"});
    let put = stack.put(&path).bearer(&admin.access_token).json(&lifted);
    assert_eq!(put.send().await.status, 200);

    let ended = stack.delete(&path).bearer(&admin.access_token).send().await;
    let again = stack.delete(&path).bearer(&admin.access_token).send().await;

    assert_eq!((ended.status, again.status), (204, 204));
    let own = stack.get("/api/v1/users/quota").bearer(&ada.access_token);
    let own = own.send().await;
    assert_eq!(limit(&own.body, "hour")["limit"], 100);
    assert_eq!(limit(&own.body, "hour")["source"], "tier");
    let entries = audited(&stack, &ada).await;
    assert_eq!(
        entries.len(),
        2,
        "the second end changed nothing: {entries:?}"
    );
    assert_eq!(entries[1]["action"], "quota-override-ended");
    assert_eq!(
        entries[1]["details"],
        json!({"limits": {"hour": null, "day": 5}})
    );
}
