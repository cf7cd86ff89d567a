//! `GET /api/v1/users/usage`

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Account, Answer, TestStack};

const PATH: &str = "/api/v1/users/usage";

async fn usage(stack: &TestStack, account: &Account, query: &str) -> Answer {
    stack.stack.settle().await.unwrap();
    let call = stack.get(&format!("{PATH}{query}"));
    call.bearer(&account.access_token).send().await
}

fn sum(list: &Value, member: &str) -> u64 {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item[member].as_u64().unwrap()).sum()
}

/// What admission has counted this month.
async fn month_used(stack: &TestStack, account: &Account) -> u64 {
    let call = stack
        .get("/api/v1/users/quota")
        .bearer(&account.access_token);
    let quota = call.send().await;
    let mut limits = quota.body["limits"].as_array().unwrap().iter();
    let month = limits.find(|limit| limit["name"] == "month").unwrap();
    month["used"].as_u64().unwrap()
}

#[tokio::test]
async fn it_tells_of_every_request_that_was_let_in_and_agrees_with_the_quota() {
    let stack = TestStack::start_as(|options| turnpike_local::Options {
        policy: None,
        ..options
    })
    .await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    let key = "/api/v1/users/api-keys/key_0000000000000000000000000000000a";
    for _ in 0..4 {
        assert_eq!(stack.me_status(&ada.access_token).await, 200);
    }
    assert_eq!(stack.me_status(&bob.access_token).await, 200);
    let missing = stack.get(key).bearer(&ada.access_token).send().await;
    assert_eq!(missing.status, 404);
    assert_eq!(stack.me_status("junk").await, 401);
    // Counted, and recorded only after it was answered.
    let used = month_used(&stack, &ada).await;

    let answer = usage(&stack, &ada, "").await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let usage = answer.body;
    assert_eq!(usage["total"], 6);
    assert_eq!(usage["charged"], used);
    assert_eq!(
        usage["by_endpoint"],
        json!([
            {"method": "GET", "path": "/api/v1/auth/me", "count": 4},
            {"method": "GET", "path": "/api/v1/users/api-keys/{id}", "count": 1},
            {"method": "GET", "path": "/api/v1/users/quota", "count": 1},
        ])
    );
    assert_eq!(
        usage["by_status"],
        json!([{"status": 200, "count": 5}, {"status": 404, "count": 1}])
    );
    assert_eq!(sum(&usage["series"], "count"), 6);
    assert_eq!(sum(&usage["series"], "errors"), 0);
}

#[tokio::test]
async fn every_hour_and_day_of_the_range_is_told_those_without_requests_too() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    stack.me_status(&ada.access_token).await;

    let days = usage(&stack, &ada, "").await.body;
    let hours = usage(&stack, &ada, "?granularity=hour").await.body;
    stack.pass(Duration::from_hours(1));
    let again = stack.login("ada@example.com").await;
    let later = usage(&stack, &again, "?granularity=hour").await.body;

    for (usage, count) in [(&days, 30), (&hours, 24), (&later, 24)] {
        assert_eq!(usage["series"].as_array().unwrap().len(), count);
        let last = &usage["series"][count - 1];
        assert!(usage["to"].as_str().unwrap() > last["start"].as_str().unwrap());
        assert_eq!(usage["from"], usage["series"][0]["start"]);
        let empty = &usage["series"][0];
        assert_eq!(
            (&empty["count"], &empty["p50_ms"], &empty["p95_ms"]),
            (&json!(0), &Value::Null, &Value::Null)
        );
    }
    let now = &hours["series"][23];
    assert_eq!(
        (&now["count"], &later["series"][22]["count"]),
        (&json!(2), &json!(3))
    );
    assert!(now["p50_ms"].is_u64() && now["p95_ms"].is_u64());
}

#[tokio::test]
async fn a_range_is_widened_to_whole_hours_and_days() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let now = stack.now();
    let from = now.minus(Duration::from_mins(90)).to_string();
    let to = now.plus(Duration::from_hours(24)).to_string();
    let query = format!("?granularity=hour&from={from}&to={to}");

    let answer = usage(&stack, &ada, &query).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let whole = |text: &Value| text.as_str().unwrap().ends_with(":00:00Z");
    assert!(whole(&answer.body["from"]) && whole(&answer.body["to"]));
    assert!(answer.body["from"].as_str().unwrap() <= from.as_str());
    assert!(answer.body["to"].as_str().unwrap() >= to.as_str());
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_by_name() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let ago = |days: u64| stack.now().minus(Duration::from_hours(days * 24));
    let cases = [
        (
            "?granularity=minute".to_owned(),
            vec![("granularity", "invalid")],
        ),
        ("?from=yesterday".to_owned(), vec![("from", "invalid")]),
        (
            "?from=2026-11-20&to=x&granularity=x".to_owned(),
            vec![
                ("from", "invalid"),
                ("to", "invalid"),
                ("granularity", "invalid"),
            ],
        ),
        (
            format!("?from={}&to={}", ago(1), ago(2)),
            vec![("from", "out-of-range")],
        ),
        (
            format!("?from={}&granularity=hour", ago(32)),
            vec![("from", "out-of-range")],
        ),
        (
            format!("?from={}&to={}&granularity=hour", ago(40), ago(39)),
            vec![("from", "out-of-range")],
        ),
        (
            format!("?from={}", ago(370)),
            vec![("from", "out-of-range")],
        ),
        (format!("?to={}", ago(500)), vec![("to", "out-of-range")]),
        (
            "?since=2026-11-20T00:00:00Z".to_owned(),
            vec![("since", "unknown")],
        ),
    ];

    for (query, fields) in cases {
        let answer = usage(&stack, &ada, &query).await;
        answer.assert_invalid(&fields);
    }
}

#[tokio::test]
async fn an_hour_is_shown_for_35_days_and_its_day_for_longer() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    stack.me_status(&ada.access_token).await;
    stack.stack.settle().await.unwrap();
    let shown = usage(&stack, &ada, "?granularity=hour").await.body;
    let from = shown["series"][23]["start"].as_str().unwrap().to_owned();

    stack.pass(Duration::from_hours(34 * 24));
    let again = stack.login("ada@example.com").await;
    let to = stack.now().minus(Duration::from_hours(33 * 24));
    let kept = usage(
        &stack,
        &again,
        &format!("?granularity=hour&from={from}&to={to}"),
    )
    .await;
    stack.pass(Duration::from_hours(2 * 24));
    let again = stack.login("ada@example.com").await;
    let by_day = usage(&stack, &again, &format!("?from={from}")).await;
    let gone = usage(
        &stack,
        &again,
        &format!("?granularity=hour&from={from}&to={to}"),
    )
    .await;

    assert_eq!(kept.body["total"], 2, "{}", kept.text);
    assert!(
        by_day.body["total"].as_u64().unwrap() >= 3,
        "{}",
        by_day.text
    );
    gone.assert_invalid(&[("from", "out-of-range")]);
}
