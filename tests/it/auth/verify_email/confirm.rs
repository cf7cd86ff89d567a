//! `POST /api/v1/auth/verify-email`

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Account, Answer, TestStack};

const PATH: &str = "/api/v1/auth/verify-email";

async fn verify(stack: &TestStack, account: &Account, token: &str) -> Answer {
    stack
        .post(PATH)
        .bearer(&account.access_token)
        .json(&json!({"token": token}))
        .send()
        .await
}

async fn is_verified(stack: &TestStack, account: &Account) -> bool {
    let me = stack
        .get("/api/v1/auth/me")
        .bearer(&account.access_token)
        .send()
        .await;
    me.body["user"]["is_verified"] == true
}

#[tokio::test]
async fn the_mailed_token_verifies_the_address_once() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let token = stack.mailed_token("ada@example.com").await;

    let answer = verify(&stack, &account, &token).await;

    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert!(is_verified(&stack, &account).await);
    verify(&stack, &account, &token)
        .await
        .assert_problem(400, "invalid-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_uses_of_a_token_exactly_one_wins() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let token = stack.mailed_token("ada@example.com").await;

    let answers = join_all((0..20).map(|_| verify(&stack, &account, &token))).await;

    let won = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(won, 1);
    for lost in answers.iter().filter(|answer| answer.status != 204) {
        lost.assert_problem(400, "invalid-token");
    }
}

#[tokio::test]
async fn another_accounts_token_is_refused_and_stays_good_for_its_own() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let eve = stack.register("eve@example.com").await;
    let token = stack.mailed_token("ada@example.com").await;

    verify(&stack, &eve, &token)
        .await
        .assert_problem(400, "invalid-token");

    assert!(!is_verified(&stack, &eve).await);
    assert_eq!(verify(&stack, &ada, &token).await.status, 204);
}

#[tokio::test]
async fn a_token_lives_twenty_four_hours() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let token = stack.mailed_token("ada@example.com").await;

    stack.pass(Duration::from_hours(24));
    let account = stack.login("ada@example.com").await;

    verify(&stack, &account, &token)
        .await
        .assert_problem(400, "invalid-token");
    assert!(!is_verified(&stack, &account).await);
}

#[tokio::test]
async fn a_reset_token_does_not_verify() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    stack
        .post("/api/v1/auth/password/reset")
        .json(&json!({"email": account.email}))
        .send()
        .await;
    let token = stack.mailed_token("ada@example.com").await;

    verify(&stack, &account, &token)
        .await
        .assert_problem(400, "invalid-token");
}

#[tokio::test]
async fn nonsense_is_an_invalid_token() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    for token in ["", "x", "\u{0}", &"x".repeat(60_000)] {
        verify(&stack, &account, token)
            .await
            .assert_problem(400, "invalid-token");
    }
}
