//! `PUT /api/v1/auth/password/change`

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Account, Answer, PASSWORD, TestStack};

const PATH: &str = "/api/v1/auth/password/change";
const NEW: &str = "quartz-lantern-orchid-3";

async fn change(stack: &TestStack, account: &Account, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    stack
        .put(PATH)
        .bearer(&account.access_token)
        .json(&body)
        .send()
        .await
}

#[tokio::test]
async fn the_new_password_counts_at_once_and_only_this_session_stays() {
    let stack = TestStack::start().await;
    let other = stack.register("ada@example.com").await;
    let mine = stack.login("ada@example.com").await;

    let answer = change(&stack, &mine, PASSWORD, NEW).await;

    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(stack.me_status(&mine.access_token).await, 200);
    assert_eq!(stack.me_status(&other.access_token).await, 401);
    for (refresh_token, status) in [(&mine.refresh_token, 200), (&other.refresh_token, 401)] {
        let body = json!({"refresh_token": refresh_token});
        assert_eq!(
            stack
                .post("/api/v1/auth/refresh")
                .json(&body)
                .send()
                .await
                .status,
            status
        );
    }
    for (password, status) in [(PASSWORD, 401), (NEW, 200)] {
        let body = json!({"email": "ada@example.com", "password": password});
        assert_eq!(
            stack
                .post("/api/v1/auth/login")
                .json(&body)
                .send()
                .await
                .status,
            status
        );
    }
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    change(&stack, &account, "wrong-violin-harbour-7", NEW)
        .await
        .assert_problem(403, "wrong-password");

    stack.login("ada@example.com").await;
    assert_eq!(stack.me_status(&account.access_token).await, 200);
}

#[tokio::test]
async fn a_weak_new_password_is_refused_before_the_current_one_is_looked_at() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    for current in [PASSWORD, "wrong-violin-harbour-7"] {
        let answer = change(&stack, &account, current, "ada@example.com").await;
        answer.assert_problem(422, "weak-password");
        assert_eq!(answer.body["errors"][0]["field"], "new_password");
    }
}

#[tokio::test]
async fn a_change_voids_an_outstanding_reset_token_but_not_the_verification() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let verification = stack.mailed_token("ada@example.com").await;
    stack
        .post("/api/v1/auth/password/reset")
        .json(&json!({"email": account.email}))
        .send()
        .await;
    let reset = stack.mailed_token("ada@example.com").await;

    assert_eq!(change(&stack, &account, PASSWORD, NEW).await.status, 204);

    let body = json!({"token": reset, "new_password": "other-lantern-orchid-9"});
    let confirm = stack
        .post("/api/v1/auth/password/reset/confirm")
        .json(&body)
        .send()
        .await;
    confirm.assert_problem(400, "invalid-token");
    let body = json!({"token": verification});
    let verify = stack
        .post("/api/v1/auth/verify-email")
        .bearer(&account.access_token)
        .json(&body)
        .send()
        .await;
    assert_eq!(verify.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_simultaneous_changes_from_one_password_exactly_one_wins() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let passwords: Vec<String> = (0..6).map(|n| format!("{NEW}-{n}")).collect();

    let answers = join_all(
        passwords
            .iter()
            .map(|password| change(&stack, &account, PASSWORD, password)),
    )
    .await;

    let won: Vec<usize> = (0..6).filter(|n| answers[*n].status == 204).collect();
    assert_eq!(won.len(), 1);
    for lost in answers.iter().filter(|answer| answer.status != 204) {
        lost.assert_problem(403, "wrong-password");
    }
    let body = json!({"email": "ada@example.com", "password": passwords[won[0]]});
    assert_eq!(
        stack
            .post("/api/v1/auth/login")
            .json(&body)
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_ended_meanwhile_is_not_brought_back() {
    let stack = TestStack::start().await;
    for round in 0..8 {
        let email = format!("ada{round}@example.com");
        let changing = stack.register(&email).await;
        let ending = stack.login(&email).await;
        let logout_all = stack
            .post("/api/v1/auth/logout-all")
            .bearer(&ending.access_token);

        let change = change(&stack, &changing, PASSWORD, NEW);
        let (changed, ended) = tokio::join!(change, logout_all.send());

        if ended.status == 204 {
            assert_eq!(stack.me_status(&changing.access_token).await, 401);
            assert!(matches!(changed.status, 204 | 401), "{}", changed.text);
        }
    }
}
