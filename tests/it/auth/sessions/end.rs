//! `DELETE /api/v1/auth/sessions/{id}`

use crate::support::TestStack;

fn path(id: &str) -> String {
    format!("/api/v1/auth/sessions/{id}")
}

#[tokio::test]
async fn ending_another_session_of_ones_own_takes_hold_at_once() {
    let stack = TestStack::start().await;
    let lost = stack.register("ada@example.com").await;
    let mine = stack.login("ada@example.com").await;

    let answer = stack
        .delete(&path(&lost.session_id))
        .bearer(&mine.access_token)
        .send()
        .await;

    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(stack.me_status(&lost.access_token).await, 401);
    assert_eq!(stack.me_status(&mine.access_token).await, 200);
    let again = stack
        .delete(&path(&lost.session_id))
        .bearer(&mine.access_token)
        .send()
        .await;
    again.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_session_of_somebody_else_is_not_there() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let eve = stack.register("eve@example.com").await;

    let answer = stack
        .delete(&path(&ada.session_id))
        .bearer(&eve.access_token)
        .send()
        .await;

    answer.assert_problem(404, "not-found");
    assert_eq!(stack.me_status(&ada.access_token).await, 200);
}

#[tokio::test]
async fn what_is_not_an_id_names_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let upper = ada.session_id.to_uppercase();
    let cases = [
        "x",
        "ses_",
        &upper,
        &ada.id,
        "%00",
        "%ff",
        "..%2f..",
        &"a".repeat(2000),
    ];

    for case in cases {
        let answer = stack
            .delete(&path(case))
            .bearer(&ada.access_token)
            .send()
            .await;
        answer.assert_problem(404, "not-found");
    }
}
