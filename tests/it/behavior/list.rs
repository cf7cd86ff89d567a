//! `GET /api/v1/behavior`.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_shared::behavior::RETENTION;

use super::{contents, event, list, report};
use crate::support::TestStack;

fn event_at(content: &str, time: &str) -> Value {
    let mut event = event(content);
    event["timestamp"] = json!(time);
    event
}

#[tokio::test]
async fn what_came_last_stands_first_and_of_what_came_together_what_happened_last() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let together = [
        event_at("2", "2026-11-20T20:00:00Z"),
        event_at("4", "2026-11-20T22:00:00Z"),
        event_at("3", "2026-11-20T20:00:00Z"),
    ];
    report(&stack, &ada, &[event_at("1", "2026-11-20T23:00:00Z")]).await;
    stack.pass(Duration::from_secs(1));
    report(&stack, &ada, &together).await;

    assert_eq!(
        contents(&list(&stack, &ada, "").await),
        ["4", "3", "2", "1"]
    );
}

#[tokio::test]
async fn pages_of_any_size_show_every_event_once_and_nobody_elses() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    let mut number = 0;
    let mut expected: Vec<String> = vec![];
    for size in [3, 1, 1, 7, 2, 1, 1, 1, 1, 5] {
        let named: Vec<String> = (0..size).map(|at| (number + at).to_string()).collect();
        let events: Vec<Value> = named.iter().map(|name| event(name)).collect();
        assert_eq!(report(&stack, &ada, &events).await.status, 202);
        stack.pass(Duration::from_secs(1));
        number += size;
        expected.extend(named);
    }
    report(&stack, &bob, &[event("another's")]).await;
    expected.reverse();

    for limit in [1, 2, 3, 5, 22, 23, 100] {
        let mut seen: Vec<String> = vec![];
        let mut parameters = format!("?limit={limit}");
        loop {
            let page = list(&stack, &ada, &parameters).await;
            assert_eq!(page.status, 200, "{}", page.text);
            assert!(contents(&page).len() <= limit);
            seen.extend(contents(&page).into_iter().map(str::to_owned));
            let Some(cursor) = page.body["next_cursor"].as_str() else {
                break;
            };
            parameters = format!("?limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, expected, "{limit}");
    }
}

#[tokio::test]
async fn events_are_gone_after_90_days_though_they_still_lie_there() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    report(&stack, &ada, &[event("old")]).await;
    stack.pass(Duration::from_mins(1));
    report(&stack, &ada, &[event("new")]).await;

    stack.pass(RETENTION.saturating_sub(Duration::from_mins(1)));
    let ada = stack.login("ada@example.com").await;
    let after = list(&stack, &ada, "").await;

    assert_eq!(contents(&after), ["new"]);
}

#[tokio::test]
async fn a_cursor_is_its_callers_and_its_lists_own() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    report(&stack, &ada, &[event("1"), event("2")]).await;
    let page = list(&stack, &ada, "?limit=1").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let elsewhere = stack.get(&format!("/api/v1/history/queries?cursor={cursor}"));

    let refused = [
        list(&stack, &bob, &format!("?cursor={cursor}")).await,
        list(&stack, &ada, "?cursor=junk").await,
        elsewhere.bearer(&ada.access_token).send().await,
    ];

    for answer in refused {
        answer.assert_problem(400, "invalid-cursor");
    }
    list(&stack, &ada, "?limit=0")
        .await
        .assert_invalid(&[("limit", "out-of-range")]);
}
