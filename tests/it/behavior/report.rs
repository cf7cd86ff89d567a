//! `POST /api/v1/behavior`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{BEHAVIOR, contents, event, list, report};
use crate::support::{Answer, TestStack};

#[tokio::test]
async fn an_event_is_listed_with_all_that_was_reported() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let whole = json!({
        "session_id": "visit-7", "content_id": "trail:42",
        "behavior_data": {"dwell_ms": 5300, "deep": [{"n": 1e300}]},
        "device_type": "phone", "location_context": {"place": "home"},
        "timestamp": "2026-11-20T21:43:16.042+01:00",
    });

    let taken = report(&stack, &ada, &[event("bare"), whole.clone()]).await;

    assert_eq!(taken.status, 202, "{}", taken.text);
    assert_eq!(taken.body, json!({"accepted": 2}));
    let listed = list(&stack, &ada, "").await;
    let items = listed.body["items"].as_array().unwrap();
    let of_whole = items.iter().find(|item| item["content_id"] == "trail:42");
    let of_whole = of_whole.unwrap();
    for name in [
        "session_id",
        "behavior_data",
        "device_type",
        "location_context",
    ] {
        assert_eq!(of_whole[name], whole[name], "{name}");
    }
    assert_eq!(of_whole["timestamp"], "2026-11-20T20:43:16.042Z");
    let bare = items
        .iter()
        .find(|item| item["content_id"] == "bare")
        .unwrap();
    assert_eq!(
        (&bare["device_type"], &bare["location_context"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(bare["timestamp"], bare["created_at"]);
    assert!(bare["id"].as_str().unwrap().starts_with("evt_"));
}

#[tokio::test]
async fn a_hundred_events_are_taken_at_once_and_one_more_is_none() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let events: Vec<Value> = (0..101).map(|number| event(&number.to_string())).collect();

    let none = report(&stack, &ada, &events).await;
    let empty = report(&stack, &ada, &[]).await;
    let all = report(&stack, &ada, &events[..100]).await;

    none.assert_invalid(&[("events", "too-long")]);
    empty.assert_invalid(&[("events", "too-short")]);
    assert_eq!(all.body, json!({"accepted": 100}));
    let listed = list(&stack, &ada, "?limit=100").await;
    let expected: Vec<String> = (0..100).rev().map(|number| number.to_string()).collect();
    assert_eq!(contents(&listed), expected);
}

#[tokio::test]
async fn what_is_wrong_with_any_event_is_named_and_none_is_taken() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let with = |field: &str, value: Value| {
        let mut event = event("c");
        event[field] = value;
        event
    };
    let ahead = stack.now().plus(Duration::from_mins(6)).to_string();
    let cases = [
        (
            with("session_id", json!("")),
            "events[1].session_id",
            "too-short",
        ),
        (
            with("session_id", json!("x".repeat(257))),
            "events[1].session_id",
            "too-long",
        ),
        (
            with("session_id", json!(7)),
            "events[1].session_id",
            "wrong-type",
        ),
        (
            with("content_id", json!("")),
            "events[1].content_id",
            "too-short",
        ),
        (
            with("behavior_data", json!([])),
            "events[1].behavior_data",
            "wrong-type",
        ),
        (
            with("behavior_data", json!({"x": "x".repeat(16 * 1024)})),
            "events[1].behavior_data",
            "too-long",
        ),
        (
            with("device_type", json!("")),
            "events[1].device_type",
            "too-short",
        ),
        (
            with("location_context", json!(7)),
            "events[1].location_context",
            "wrong-type",
        ),
        (
            with("location_context", json!("x".repeat(4 * 1024))),
            "events[1].location_context",
            "too-long",
        ),
        (
            with("timestamp", json!("yesterday")),
            "events[1].timestamp",
            "invalid",
        ),
        (
            with("timestamp", json!(ahead)),
            "events[1].timestamp",
            "out-of-range",
        ),
        (with("mood", json!("good")), "events[1].mood", "unknown"),
        (
            json!({"session_id": "s", "behavior_data": {}}),
            "events[1].content_id",
            "required",
        ),
    ];

    for (wrong, field, code) in cases {
        let answer = report(&stack, &ada, &[event("good"), wrong]).await;
        answer.assert_invalid(&[(field, code)]);
    }

    let two = [
        with("session_id", json!("")),
        event("c"),
        with("device_type", json!("")),
    ];
    let both = report(&stack, &ada, &two).await;
    both.assert_invalid(&[
        ("events[0].session_id", "too-short"),
        ("events[2].device_type", "too-short"),
    ]);
    assert!(contents(&list(&stack, &ada, "").await).is_empty());
}

#[tokio::test]
async fn a_report_that_is_repeated_with_its_key_is_taken_once_even_if_it_is_as_large_as_it_may() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let events: Vec<Value> = (0..100).map(|number| event(&number.to_string())).collect();
    let send = || {
        let call = stack.post(BEHAVIOR).bearer(&ada.access_token);
        let call = call.header("idempotency-key", "once");
        call.json(&json!({"events": events})).send()
    };

    let first = send().await;
    let again = send().await;

    assert_eq!(first.status, 202, "{}", first.text);
    assert_eq!((again.status, &again.text), (202, &first.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let listed = list(&stack, &ada, "?limit=100").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 100);
    assert_eq!(listed.body["next_cursor"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_tries_of_one_report_one_is_taken() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let until_taken = async || loop {
        let call = stack.post(BEHAVIOR).bearer(&ada.access_token);
        let call = call.header("idempotency-key", "once");
        let answer = call.json(&json!({"events": [event("c")]})).send().await;
        if answer.status != 409 {
            return answer;
        }
    };

    let answers: Vec<Answer> = join_all((0..20).map(|_| until_taken())).await;

    assert!(answers.iter().all(|answer| answer.status == 202));
    assert_eq!(contents(&list(&stack, &ada, "").await), ["c"]);
}

#[tokio::test]
async fn reports_have_a_limit_of_their_own() {
    let policy = crate::support::root().join("shared/policy.toml");
    let stack = TestStack::start_as(|options| turnpike_local::Options {
        policy: Some(policy),
        ..options
    })
    .await;
    let ada = stack.register("ada@example.com").await;

    let taken = report(&stack, &ada, &[event("c")]).await;

    let limits = taken.header("ratelimit-policy");
    assert!(limits.contains("\"upload\";q=50;w=3600"), "{limits}");
}
