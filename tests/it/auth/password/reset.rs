//! `POST /api/v1/auth/password/reset`

use serde_json::json;

use crate::support::TestStack;

const PATH: &str = "/api/v1/auth/password/reset";

#[tokio::test]
async fn an_account_gets_a_mail_with_a_link_and_a_token() {
    let stack =
        TestStack::start_with(|env| env.with("TURNPIKE_APP_URL", "https://app.example.com")).await;
    stack.register("ada@example.com").await;

    let answer = stack
        .post(PATH)
        .json(&json!({"email": "ADA@EXAMPLE.COM"}))
        .send()
        .await;

    assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    let mails = stack.mails("ada@example.com").await;
    assert_eq!(mails.len(), 2);
    let token = stack.mailed_token("ada@example.com").await;
    let link = format!("https://app.example.com/reset-password?token={token}");
    assert_eq!(mails[0]["to"], "ada@example.com");
    assert!(mails[0]["text"].as_str().unwrap().contains(&link));
    assert!(mails[0]["html"].as_str().unwrap().contains(&link));
}

#[tokio::test]
async fn nobody_and_a_deactivated_account_get_the_same_answer_and_no_mail() {
    let stack = TestStack::start().await;
    let gone = stack.register("gone@example.com").await;
    stack.mails("gone@example.com").await;
    stack.deactivate(&gone.id).await;

    for email in ["nobody@example.com", "gone@example.com"] {
        let answer = stack.post(PATH).json(&json!({"email": email})).send().await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    }

    assert_eq!(stack.mails("nobody@example.com").await.len(), 0);
    assert_eq!(
        stack.mails("gone@example.com").await.len(),
        1,
        "that of the registration"
    );
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let stack = TestStack::start().await;

    let answer = stack.post(PATH).json(&json!({"email": "ada"})).send().await;

    answer.assert_invalid(&[("email", "invalid")]);
}
