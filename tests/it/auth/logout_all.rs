//! `POST /api/v1/auth/logout-all`

use futures_util::future::join_all;
use serde_json::json;

use crate::support::TestStack;

const PATH: &str = "/api/v1/auth/logout-all";

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_of_the_user_at_once() {
    let stack = TestStack::start().await;
    let first = stack.register("ada@example.com").await;
    let second = stack.login("ada@example.com").await;
    let somebody_else = stack.register("eve@example.com").await;

    let answer = stack.post(PATH).bearer(&second.access_token).send().await;

    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    for ended in [&first, &second] {
        assert_eq!(stack.me_status(&ended.access_token).await, 401);
        let body = json!({"refresh_token": ended.refresh_token});
        let refresh = stack.post("/api/v1/auth/refresh").json(&body).send().await;
        refresh.assert_problem(401, "invalid-refresh-token");
    }
    assert_eq!(stack.me_status(&somebody_else.access_token).await, 200);
}

#[tokio::test]
async fn a_sign_in_right_after_it_is_good() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    stack.post(PATH).bearer(&account.access_token).send().await;
    let again = stack.login("ada@example.com").await;

    assert_eq!(stack.me_status(&again.access_token).await, 200);
    let list = stack
        .get("/api/v1/auth/sessions")
        .bearer(&again.access_token)
        .send()
        .await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_was_there_before_survives_a_race_with_sign_ins() {
    let stack = TestStack::start().await;
    for round in 0..5 {
        let email = format!("ada{round}@example.com");
        let account = stack.register(&email).await;
        let before = join_all((0..3).map(|_| stack.login(&email))).await;
        let logout = stack.post(PATH).bearer(&account.access_token).send();
        let racing = join_all((0..3).map(|_| stack.login(&email)));

        let (out, _racing) = tokio::join!(logout, racing);

        assert_eq!(out.status, 204);
        for session in before.iter().chain([&account]) {
            assert_eq!(stack.me_status(&session.access_token).await, 401);
        }
    }
}
