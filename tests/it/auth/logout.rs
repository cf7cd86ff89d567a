//! `POST /api/v1/auth/logout`

use serde_json::json;

use crate::support::TestStack;

const PATH: &str = "/api/v1/auth/logout";

#[tokio::test]
async fn signing_out_ends_this_session_at_once_and_no_other() {
    let stack = TestStack::start().await;
    let other = stack.register("ada@example.com").await;
    let mine = stack.login("ada@example.com").await;

    let answer = stack.post(PATH).bearer(&mine.access_token).send().await;

    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(stack.me_status(&mine.access_token).await, 401);
    assert_eq!(stack.me_status(&other.access_token).await, 200);
    let body = json!({"refresh_token": mine.refresh_token});
    let refresh = stack.post("/api/v1/auth/refresh").json(&body).send().await;
    refresh.assert_problem(401, "invalid-refresh-token");
    stack
        .post(PATH)
        .bearer(&mine.access_token)
        .send()
        .await
        .assert_problem(401, "unauthenticated");
}
