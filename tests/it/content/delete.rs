//! `DELETE /api/v1/content/{location_id}`.

use super::{delete, put, show, wish};
use crate::content::soundness;
use crate::support::TestStack;

#[tokio::test]
async fn removed_content_is_gone_and_leaves_nothing_behind() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    put(&stack, &admin, "a", &wish()).await;

    let removed = delete(&stack, &admin, "a").await;
    let again = delete(&stack, &admin, "a").await;

    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    again.assert_problem(404, "not-found");
    show(&stack, &admin, "a")
        .await
        .assert_problem(404, "not-found");
    let left = soundness::check(&stack.dynamodb().await, stack.now()).await;
    assert_eq!((left.locations, left.contents, left.named), (0, 0, 0));
}

#[tokio::test]
async fn content_of_another_location_stays_and_a_location_can_be_filled_again() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let first = put(&stack, &admin, "a", &wish()).await;
    put(&stack, &admin, "b", &wish()).await;

    delete(&stack, &admin, "a").await;

    assert_eq!(show(&stack, &admin, "b").await.status, 200);
    stack.pass(std::time::Duration::from_secs(1));
    let anew = put(&stack, &admin, "a", &wish()).await;
    assert_eq!(anew.status, 201, "{}", anew.text);
    assert_ne!(
        anew.header("etag"),
        first.header("etag"),
        "it is not what was there"
    );
}

#[tokio::test]
async fn who_is_no_admin_removes_nothing() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    put(&stack, &admin, "a", &wish()).await;

    let refused = delete(&stack, &ada, "a").await;

    refused.assert_problem(403, "missing-scope");
    assert_eq!(show(&stack, &ada, "a").await.status, 200);
}
