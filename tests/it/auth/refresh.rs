//! `POST /api/v1/auth/refresh`

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, TestStack};

const PATH: &str = "/api/v1/auth/refresh";

async fn refresh(stack: &TestStack, token: &str) -> Answer {
    stack
        .post(PATH)
        .json(&json!({"refresh_token": token}))
        .send()
        .await
}

fn refresh_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["tokens"]["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_tokens_of_the_same_session() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    let answer = refresh(&stack, &account.refresh_token).await;

    assert_ne!(refresh_token(&answer), account.refresh_token);
    let tokens = &answer.body["tokens"];
    assert_eq!(tokens["session_id"], account.session_id.as_str());
    assert_eq!(tokens["refresh_expires_in"], 604_800);
    assert_eq!(
        stack
            .me_status(tokens["access_token"].as_str().unwrap())
            .await,
        200
    );
    assert_eq!(answer.body.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn the_predecessor_sent_again_within_ten_seconds_gets_the_same_successor() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let successor = refresh_token(&refresh(&stack, &account.refresh_token).await);

    stack.pass(Duration::from_secs(9));
    let again = refresh_token(&refresh(&stack, &account.refresh_token).await);

    assert_eq!(again, successor);
    refresh_token(&refresh(&stack, &successor).await);
}

#[tokio::test]
async fn a_refresh_token_reused_beyond_the_grace_ends_the_session() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let answer = refresh(&stack, &account.refresh_token).await;
    let successor = refresh_token(&answer);

    stack.pass(Duration::from_millis(10_500));
    refresh(&stack, &account.refresh_token)
        .await
        .assert_problem(401, "refresh-token-reused");

    refresh(&stack, &successor)
        .await
        .assert_problem(401, "invalid-refresh-token");
    let access = answer.body["tokens"]["access_token"].as_str().unwrap();
    assert_eq!(stack.me_status(access).await, 401);
    assert_eq!(stack.me_status(&account.access_token).await, 401);
}

#[tokio::test]
async fn an_older_generation_than_the_predecessor_ends_the_session_even_within_the_grace() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let second = refresh_token(&refresh(&stack, &account.refresh_token).await);
    let third = refresh_token(&refresh(&stack, &second).await);

    refresh(&stack, &account.refresh_token)
        .await
        .assert_problem(401, "refresh-token-reused");

    refresh(&stack, &third)
        .await
        .assert_problem(401, "invalid-refresh-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_refreshes_with_one_token_at_most_one_successor_ever_lives() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    let answers = join_all((0..20).map(|_| refresh(&stack, &account.refresh_token))).await;

    let successors: HashSet<String> = answers.iter().map(refresh_token).collect();
    assert_eq!(successors.len(), 1);
    refresh_token(&refresh(&stack, successors.iter().next().unwrap()).await);
}

#[tokio::test]
async fn a_refresh_token_lives_seven_days_and_a_session_thirty() {
    let stack = TestStack::start().await;
    let days = |n: u64| Duration::from_hours(24 * n);
    let idle = stack.register("idle@example.com").await;
    let mut token = stack.register("busy@example.com").await.refresh_token;

    stack.pass(days(6));
    token = refresh_token(&refresh(&stack, &token).await);
    stack.pass(days(1));
    refresh(&stack, &idle.refresh_token)
        .await
        .assert_problem(401, "invalid-refresh-token");
    for _ in 0..3 {
        stack.pass(days(5));
        token = refresh_token(&refresh(&stack, &token).await);
    }
    stack.pass(days(5));
    let last = refresh(&stack, &token).await;
    token = refresh_token(&last);

    let left = last.body["tokens"]["refresh_expires_in"].as_u64().unwrap();
    assert!((3 * 86_400 - 60..=3 * 86_400).contains(&left), "{left}");
    stack.pass(days(3));
    refresh(&stack, &token)
        .await
        .assert_problem(401, "invalid-refresh-token");
}

#[tokio::test]
async fn what_is_not_a_refresh_token_of_a_living_session_is_refused_alike() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let other = stack.register("eve@example.com").await;
    let good = &account.refresh_token;
    let (head, mac) = good.rsplit_once('_').unwrap();
    let swapped = good.replace(&account.id[4..], &other.id[4..]);
    let mut flipped = mac.to_owned();
    flipped.replace_range(0..1, if mac.starts_with('A') { "B" } else { "A" });
    let cases = [
        String::new(),
        "tpr_".into(),
        "x".repeat(20_000),
        format!("{head}_{flipped}"),
        good.replace("_1_", "_2_"),
        swapped,
        account.access_token.clone(),
        format!("{good} "),
    ];

    for case in cases {
        refresh(&stack, &case)
            .await
            .assert_problem(401, "invalid-refresh-token");
    }
    refresh_token(&refresh(&stack, good).await);
}

#[tokio::test]
async fn a_deactivated_user_cannot_refresh() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    stack.deactivate(&account.id).await;

    refresh(&stack, &account.refresh_token)
        .await
        .assert_problem(401, "invalid-refresh-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_that_races_a_refresh_is_not_undone() {
    let stack = TestStack::start().await;
    for round in 0..10 {
        let account = stack.register(&format!("ada{round}@example.com")).await;
        let logout = stack
            .post("/api/v1/auth/logout")
            .bearer(&account.access_token)
            .send();

        let (out, refreshed) = tokio::join!(logout, refresh(&stack, &account.refresh_token));

        assert_eq!(out.status, 204);
        if refreshed.status == 200 {
            let access = refreshed.body["tokens"]["access_token"].as_str().unwrap();
            assert_eq!(stack.me_status(access).await, 401);
            let next = refresh(&stack, &refresh_token(&refreshed)).await;
            next.assert_problem(401, "invalid-refresh-token");
        }
    }
}
