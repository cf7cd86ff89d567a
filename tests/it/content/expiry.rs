//! Content that is not to stay.

use std::time::Duration;

use serde_json::json;

use super::{delete, put, put_well, show, under, wish, wish_with};
use crate::content::{path, soundness};
use crate::support::TestStack;

#[tokio::test]
async fn content_is_gone_after_its_time_though_it_still_lies_there() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let created = put(&stack, &admin, "a", &wish_with("ttl_seconds", json!(60))).await;
    let content = &created.body["content"];
    assert_eq!(content["ttl_seconds"], 60);
    assert!(content["expires_at"].is_string());

    stack.pass(Duration::from_secs(58));
    let within = show(&stack, &admin, "a").await;
    stack.pass(Duration::from_secs(2));
    let after = show(&stack, &admin, "a").await;
    let removed = delete(&stack, &admin, "a").await;
    let known = under(
        stack.get(&path("a")),
        &admin,
        "if-none-match",
        created.header("etag"),
    )
    .await;

    assert_eq!(within.body, created.body);
    after.assert_problem(404, "not-found");
    removed.assert_problem(404, "not-found");
    known.assert_problem(404, "not-found");
}

#[tokio::test]
async fn putting_it_again_renews_its_time_and_its_tag() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let expiring = wish_with("ttl_seconds", json!(60));
    let first = put_well(&stack, &admin, "a", &expiring).await;

    stack.pass(Duration::from_secs(40));
    let again = put(&stack, &admin, "a", &expiring).await;
    stack.pass(Duration::from_secs(40));

    assert_eq!(again.status, 200, "{}", again.text);
    assert_ne!(
        again.header("etag"),
        first,
        "expires_at is shown, and is another"
    );
    assert_eq!(show(&stack, &admin, "a").await.status, 200);
}

#[tokio::test]
async fn where_content_expired_there_is_nothing_and_a_new_one_can_be_put() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let tag = put_well(&stack, &admin, "a", &wish_with("ttl_seconds", json!(60))).await;
    stack.pass(Duration::from_mins(1));
    let call = || stack.put(&path("a")).json(&wish());

    let known = under(call(), &admin, "if-match", &tag).await;
    let anew = under(call(), &admin, "if-none-match", "*").await;

    known.assert_problem(412, "precondition-failed");
    assert_eq!(anew.status, 201, "{}", anew.text);
    let content = &anew.body["content"];
    assert_eq!(content["created_at"], content["updated_at"]);
    soundness::check(&stack.dynamodb().await, stack.now()).await;
}

#[tokio::test]
async fn content_that_stays_elsewhere_outlives_the_location_that_expires() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    put_well(
        &stack,
        &admin,
        "brief",
        &wish_with("ttl_seconds", json!(60)),
    )
    .await;
    put_well(&stack, &admin, "lasting", &wish()).await;
    let day = Duration::from_hours(24);

    stack.pass(4 * day);
    let admin = stack.admin().await;
    soundness::sweep(&stack.dynamodb().await, stack.now()).await;

    show(&stack, &admin, "brief")
        .await
        .assert_problem(404, "not-found");
    assert_eq!(show(&stack, &admin, "lasting").await.status, 200);
    soundness::check(&stack.dynamodb().await, stack.now()).await;
    assert_eq!(delete(&stack, &admin, "lasting").await.status, 204);
    soundness::sweep(&stack.dynamodb().await, stack.now()).await;
    let left = soundness::check(&stack.dynamodb().await, stack.now()).await;
    assert_eq!(
        (left.contents, left.named),
        (0, 0),
        "what expired is not counted for ever"
    );
}

#[tokio::test]
async fn content_whose_locations_all_expired_is_swept_and_can_come_back() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let brief = wish_with("ttl_seconds", json!(60));
    put_well(&stack, &admin, "a", &brief).await;
    put_well(&stack, &admin, "b", &brief).await;

    stack.pass(Duration::from_hours(4 * 24));
    let admin = stack.admin().await;
    // The content goes ahead of the locations that referred to it.
    soundness::sweep_only(&stack.dynamodb().await, stack.now(), "CONTENT#").await;
    let again = put(&stack, &admin, "a", &brief).await;
    delete(&stack, &admin, "b")
        .await
        .assert_problem(404, "not-found");
    put_well(&stack, &admin, "b", &wish_with("quality_score", json!(1))).await;

    assert_eq!(again.status, 201, "{}", again.text);
    assert_eq!(show(&stack, &admin, "a").await.status, 200);
    soundness::check(&stack.dynamodb().await, stack.now()).await;
}
