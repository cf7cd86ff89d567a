//! `GET /api/v1/auth/sessions`

use std::time::Duration;

use serde_json::json;

use crate::support::TestStack;

const PATH: &str = "/api/v1/auth/sessions";

#[tokio::test]
async fn it_lists_live_sessions_newest_first_and_marks_the_current_one() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": crate::support::PASSWORD});
    let login = stack
        .post("/api/v1/auth/login")
        .json(&body)
        .header("user-agent", "tour/1.0")
        .send()
        .await;
    let token = login.body["tokens"]["access_token"].as_str().unwrap();

    let list = stack.get(PATH).bearer(token).send().await;

    assert_eq!(list.status, 200);
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["id"], login.body["tokens"]["session_id"]);
    assert_eq!(items[0]["current"], true);
    assert_eq!(items[0]["user_agent"], "tour/1.0");
    assert_eq!(items[0]["ip"], "127.0.0.1");
    assert_eq!(items[0].as_object().unwrap().len(), 6);
    assert_eq!(items[1]["current"], false);
    assert!(list.body["next_cursor"].is_null());
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let mut account = stack.login("ada@example.com").await;
    for _ in 0..3 {
        account = stack.login("ada@example.com").await;
    }

    let mut seen = vec![];
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = stack.get(&path).bearer(&account.access_token).send().await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.body["items"].as_array().unwrap();
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            break;
        };
        assert_eq!(items.len(), 2);
        path = format!("{PATH}?limit=2&cursor={cursor}");
    }

    assert_eq!(seen.len(), 5);
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first: {seen:?}"
    );
}

#[tokio::test]
async fn a_cursor_of_another_user_or_an_altered_one_is_refused() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let ada = stack.login("ada@example.com").await;
    let eve = stack.register("eve@example.com").await;
    let page = stack
        .get(&format!("{PATH}?limit=1"))
        .bearer(&ada.access_token)
        .send()
        .await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let with = |cursor: &str| format!("{PATH}?cursor={cursor}");

    let foreign = stack
        .get(&with(cursor))
        .bearer(&eve.access_token)
        .send()
        .await;
    foreign.assert_problem(400, "invalid-cursor");
    for altered in [
        &cursor[1..],
        &format!("{cursor}A"),
        "%F0%9F%92%A9",
        "",
        &"A".repeat(4000),
    ] {
        let answer = stack
            .get(&with(altered))
            .bearer(&ada.access_token)
            .send()
            .await;
        answer.assert_problem(400, "invalid-cursor");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let cases = [
        ("limit=0", ("limit", "out-of-range")),
        ("limit=101", ("limit", "out-of-range")),
        ("limit=-1", ("limit", "wrong-type")),
        ("limit=ten", ("limit", "wrong-type")),
        ("limit=", ("limit", "wrong-type")),
        ("limit=1&limit=2", ("limit", "invalid")),
        ("size=3", ("size", "unknown")),
    ];

    for (query, field) in cases {
        let answer = stack
            .get(&format!("{PATH}?{query}"))
            .bearer(&account.access_token)
            .send()
            .await;
        answer.assert_invalid(&[field]);
    }
}

#[tokio::test]
async fn a_session_that_can_no_longer_be_refreshed_is_not_listed() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    stack.pass(Duration::from_hours(24 * 7));
    let account = stack.login("ada@example.com").await;

    let list = stack.get(PATH).bearer(&account.access_token).send().await;

    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
}
