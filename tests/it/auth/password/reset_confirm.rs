//! `POST /api/v1/auth/password/reset/confirm`

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Account, Answer, KEYS, Key, PASSWORD, TestStack};

const PATH: &str = "/api/v1/auth/password/reset/confirm";
const NEW: &str = "quartz-lantern-orchid-3";

async fn reset_token(stack: &TestStack, email: &str) -> String {
    stack
        .post("/api/v1/auth/password/reset")
        .json(&json!({"email": email}))
        .send()
        .await;
    stack.mailed_token(email).await
}

async fn confirm(stack: &TestStack, token: &str, password: &str) -> Answer {
    stack
        .post(PATH)
        .json(&json!({"token": token, "new_password": password}))
        .send()
        .await
}

async fn login_status(stack: &TestStack, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    stack
        .post("/api/v1/auth/login")
        .json(&body)
        .send()
        .await
        .status
}

#[tokio::test]
async fn the_mailed_token_sets_the_password_and_ends_every_session() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let token = reset_token(&stack, "ada@example.com").await;

    let answer = confirm(&stack, &token, NEW).await;

    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(stack.me_status(&account.access_token).await, 401);
    let body = json!({"refresh_token": account.refresh_token});
    let refresh = stack.post("/api/v1/auth/refresh").json(&body).send().await;
    refresh.assert_problem(401, "invalid-refresh-token");
    assert_eq!(login_status(&stack, "ada@example.com", PASSWORD).await, 401);
    assert_eq!(login_status(&stack, "ada@example.com", NEW).await, 200);
}

#[tokio::test]
async fn a_reset_proves_the_address_and_verifies_it() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let token = reset_token(&stack, "ada@example.com").await;

    confirm(&stack, &token, NEW).await;

    let body = json!({"email": "ada@example.com", "password": NEW});
    let login = stack.post("/api/v1/auth/login").json(&body).send().await;
    assert_eq!(login.body["user"]["is_verified"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_uses_of_a_token_exactly_one_wins() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let token = reset_token(&stack, "ada@example.com").await;
    let passwords: Vec<String> = (0..20).map(|n| format!("{NEW}-{n}")).collect();

    let answers = join_all(
        passwords
            .iter()
            .map(|password| confirm(&stack, &token, password)),
    )
    .await;

    let won: Vec<usize> = (0..20).filter(|n| answers[*n].status == 204).collect();
    assert_eq!(won.len(), 1);
    for lost in answers.iter().filter(|answer| answer.status != 204) {
        lost.assert_problem(400, "invalid-token");
    }
    assert_eq!(
        login_status(&stack, "ada@example.com", &passwords[won[0]]).await,
        200
    );
}

#[tokio::test]
async fn a_reset_voids_every_other_one_time_token() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let verification = stack.mailed_token("ada@example.com").await;
    let first = reset_token(&stack, "ada@example.com").await;
    let second = reset_token(&stack, "ada@example.com").await;

    assert_eq!(confirm(&stack, &second, NEW).await.status, 204);

    confirm(&stack, &first, "other-lantern-orchid-9")
        .await
        .assert_problem(400, "invalid-token");
    let body = json!({"email": "ada@example.com", "password": NEW});
    let login = stack.post("/api/v1/auth/login").json(&body).send().await;
    let access = login.body["tokens"]["access_token"].as_str().unwrap();
    let body = json!({"token": verification});
    let verify = stack
        .post("/api/v1/auth/verify-email")
        .bearer(access)
        .json(&body)
        .send()
        .await;
    verify.assert_problem(400, "invalid-token");
}

#[tokio::test]
async fn a_token_lives_one_hour_and_is_not_spent_by_a_weak_password() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let token = reset_token(&stack, "ada@example.com").await;

    confirm(&stack, &token, "password123")
        .await
        .assert_problem(422, "weak-password");
    confirm(&stack, &token, "ada@example.com")
        .await
        .assert_problem(422, "weak-password");
    stack.pass(Duration::from_mins(59));
    assert_eq!(confirm(&stack, &token, NEW).await.status, 204);
    let late = reset_token(&stack, "ada@example.com").await;
    stack.pass(Duration::from_hours(1));
    confirm(&stack, &late, PASSWORD)
        .await
        .assert_problem(400, "invalid-token");
}

#[tokio::test]
async fn a_verification_token_resets_nothing() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let token = stack.mailed_token("ada@example.com").await;

    confirm(&stack, &token, NEW)
        .await
        .assert_problem(400, "invalid-token");

    assert_eq!(login_status(&stack, "ada@example.com", PASSWORD).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_with_the_old_password_that_races_a_reset_leaves_no_session() {
    let stack = TestStack::start().await;
    for round in 0..5 {
        let email = format!("ada{round}@example.com");
        stack.register(&email).await;
        let token = reset_token(&stack, &email).await;
        let body = json!({"email": email, "password": PASSWORD});
        let logins = join_all((0..4).map(|_| stack.post("/api/v1/auth/login").json(&body).send()));

        let (reset, logins) = tokio::join!(confirm(&stack, &token, NEW), logins);

        assert_eq!(reset.status, 204);
        for login in logins.iter().filter(|login| login.status == 200) {
            let access = login.body["tokens"]["access_token"].as_str().unwrap();
            assert_eq!(stack.me_status(access).await, 401);
        }
    }
}

#[tokio::test]
async fn a_reset_that_claims_a_never_verified_account_takes_its_keys_away() {
    let stack = TestStack::start().await;
    let squatter = stack.register("ada@example.com").await;
    let key = stack
        .make_key(&squatter, json!({"limits": {"hour": 9}}))
        .await;
    assert_eq!(stack.use_key(&key).await.status, 200);
    let token = reset_token(&stack, "ada@example.com").await;

    confirm(&stack, &token, NEW).await;

    stack
        .use_key(&key)
        .await
        .assert_problem(401, "unauthenticated");
    let body = json!({"email": "ada@example.com", "password": NEW});
    let login = stack.post("/api/v1/auth/login").json(&body).send().await;
    let ada = Account::from_answer("ada@example.com", &login.body);
    let listed = stack.get(KEYS).bearer(&ada.access_token).send().await;
    assert_eq!(listed.body["items"], json!([]));
    assert!(stack.show_key(&ada, &key).await["revoked_at"].is_string());
    let own = stack.make_key(&ada, json!({})).await;
    assert_eq!(stack.use_key(&own).await.status, 200);
}

#[tokio::test]
async fn a_reset_of_a_verified_account_leaves_its_keys() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let token = reset_token(&stack, "ada@example.com").await;
    confirm(&stack, &token, NEW).await;
    let body = json!({"email": "ada@example.com", "password": NEW});
    let login = stack.post("/api/v1/auth/login").json(&body).send().await;
    let ada = Account::from_answer("ada@example.com", &login.body);
    let key = stack.make_key(&ada, json!({})).await;
    let token = reset_token(&stack, "ada@example.com").await;

    confirm(&stack, &token, PASSWORD).await;

    assert_eq!(stack.use_key(&key).await.status, 200);
    assert_eq!(stack.me_status(&ada.access_token).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_made_while_an_account_is_claimed_are_gone_with_it() {
    let stack = TestStack::start().await;
    let squatter = stack.register("ada@example.com").await;
    let token = reset_token(&stack, "ada@example.com").await;
    let makings = (0..10).map(|_| stack.create_key(&squatter, json!({})));

    let (answers, confirmed) = tokio::join!(join_all(makings), confirm(&stack, &token, NEW));

    assert_eq!(confirmed.status, 204, "{}", confirmed.text);
    for answer in answers {
        if answer.status == 201 {
            let key = Key::from_answer(&answer);
            stack
                .use_key(&key)
                .await
                .assert_problem(401, "unauthenticated");
        } else if answer.code() != "throttled" {
            answer.assert_problem(401, "unauthenticated");
        }
    }
}
