//! `GET /api/v1/auth/me`

use aws_sdk_dynamodb::types::AttributeValue;

use crate::support::TestStack;

#[tokio::test]
async fn it_shows_the_account_that_is_signed_in() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    let answer = stack
        .get("/api/v1/auth/me")
        .bearer(&account.access_token)
        .send()
        .await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["user"]["id"], account.id.as_str());
    assert_eq!(answer.body["user"]["email"], "ada@example.com");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_change_of_the_account_shows_at_once() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    stack
        .set_user_attribute(&account.id, "tier", AttributeValue::S("pro".into()))
        .await;

    let answer = stack
        .get("/api/v1/auth/me")
        .bearer(&account.access_token)
        .send()
        .await;
    assert_eq!(answer.body["user"]["tier"], "pro");
}

#[tokio::test]
async fn a_deactivated_users_access_token_stops_working_at_once() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    stack.deactivate(&account.id).await;

    let answer = stack
        .get("/api/v1/auth/me")
        .bearer(&account.access_token)
        .send()
        .await;
    answer.assert_problem(401, "unauthenticated");
}
