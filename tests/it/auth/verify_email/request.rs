//! `POST /api/v1/auth/verify-email/request`

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Account, TestStack};

const PATH: &str = "/api/v1/auth/verify-email/request";

async fn request(stack: &TestStack, account: &Account) {
    let answer = stack.post(PATH).bearer(&account.access_token).send().await;
    assert_eq!((answer.status, answer.text.as_str()), (202, ""));
}

#[tokio::test]
async fn another_mail_with_another_token_goes_out_and_both_tokens_are_good() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let first = stack.mailed_token("ada@example.com").await;

    request(&stack, &account).await;

    let second = stack.mailed_token("ada@example.com").await;
    assert_ne!(first, second);
    let body = json!({"token": first});
    let verified = stack
        .post("/api/v1/auth/verify-email")
        .bearer(&account.access_token)
        .json(&body)
        .send()
        .await;
    assert_eq!(verified.status, 204);
}

#[tokio::test]
async fn a_verified_address_gets_no_mail() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let body = json!({"token": stack.mailed_token("ada@example.com").await});
    stack
        .post("/api/v1/auth/verify-email")
        .bearer(&account.access_token)
        .json(&body)
        .send()
        .await;

    request(&stack, &account).await;

    assert_eq!(stack.mails("ada@example.com").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_at_most_three_mails_an_hour_of_both_kinds_together() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let reset = async || {
        let body = json!({"email": "ADA@example.com"});
        let answer = stack
            .post("/api/v1/auth/password/reset")
            .json(&body)
            .send()
            .await;
        assert_eq!(answer.status, 202);
    };

    join_all((0..6).map(async |n| {
        if n % 2 == 0 {
            request(&stack, &account).await;
        } else {
            reset().await;
        }
    }))
    .await;
    assert_eq!(stack.mails("ada@example.com").await.len(), 3);
    stack.pass(Duration::from_mins(59));
    reset().await;
    assert_eq!(stack.mails("ada@example.com").await.len(), 3);

    stack.pass(Duration::from_mins(2));
    reset().await;
    assert_eq!(stack.mails("ada@example.com").await.len(), 4);
}
