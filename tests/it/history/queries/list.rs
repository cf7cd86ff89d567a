//! `GET /api/v1/history/queries`.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_shared::history::{QueryRecord, RETENTION};

use super::{QUERIES, ask, history, query_of};
use crate::support::{Account, Answer, TestStack};

async fn list(stack: &TestStack, account: &Account, parameters: &str) -> Answer {
    let call = stack.get(&format!("{QUERIES}{parameters}"));
    call.bearer(&account.access_token).send().await
}

fn texts(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().expect("a list").iter();
    items.map(|item| item["query"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_query_is_shown_with_all_that_was_written_down_and_nothing_else() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let history = history(&stack).await;
    let at = stack.now();
    let cached = QueryRecord {
        cache_tier: Some("valkey".to_owned()),
        ..query_of(&ada, "whales", at)
    };
    let failed = QueryRecord {
        status: 502,
        ..query_of(&ada, "squids", at.minus(Duration::from_secs(1)))
    };
    history.record(&cached).await.unwrap();
    history.record(&failed).await.unwrap();

    let answer = list(&stack, &ada, "").await;

    let shown = |record: &QueryRecord, tier: Value| {
        json!({
            "id": record.id, "upstream": "library", "query": record.query,
            "status": record.status, "cache_tier": tier, "execution_time_ms": 41,
            "created_at": record.created_at,
        })
    };
    let expected = json!({
        "items": [shown(&cached, "valkey".into()), shown(&failed, Value::Null)],
        "next_cursor": null,
    });
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn pages_follow_one_another_newest_first_and_show_nobody_elses_queries() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    ask(&stack, &ada, &["one", "two", "three", "four", "five"]).await;
    ask(&stack, &bob, &["another's"]).await;
    let mut seen: Vec<Vec<String>> = vec![];

    let mut parameters = "?limit=2".to_owned();
    loop {
        let page = list(&stack, &ada, &parameters).await;
        seen.push(texts(&page).into_iter().map(str::to_owned).collect());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            break;
        };
        parameters = format!("?limit=2&cursor={cursor}");
    }

    assert_eq!(
        seen,
        [vec!["five", "four"], vec!["three", "two"], vec!["one"]]
    );
}

#[tokio::test]
async fn what_is_asked_between_two_pages_repeats_and_hides_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    ask(&stack, &ada, &["one", "two", "three"]).await;

    let first = list(&stack, &ada, "?limit=1").await;
    stack.pass(Duration::from_secs(1));
    ask(&stack, &ada, &["four"]).await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = list(&stack, &ada, &format!("?limit=5&cursor={cursor}")).await;

    assert_eq!(texts(&first), ["three"]);
    assert_eq!(texts(&second), ["two", "one"]);
}

#[tokio::test]
async fn a_query_is_gone_after_90_days_though_it_still_lies_there() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let record = &ask(&stack, &ada, &["whales"]).await[0];
    let nearly = RETENTION.saturating_sub(Duration::from_mins(1));

    stack.pass(nearly);
    let ada = stack.login("ada@example.com").await;
    let within = list(&stack, &ada, "").await;
    stack.pass(Duration::from_mins(1));
    let after = list(&stack, &ada, "").await;
    let deleted = stack.delete(&format!("{QUERIES}/{}", record.id));
    let deleted = deleted.bearer(&ada.access_token).send().await;

    assert_eq!(texts(&within), ["whales"]);
    assert_eq!(after.body, json!({"items": [], "next_cursor": null}));
    deleted.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_cursor_of_another_caller_or_list_or_of_nobody_is_refused() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    ask(&stack, &ada, &["one", "two"]).await;
    let page = list(&stack, &ada, "?limit=1").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let jobs = stack.get(&format!("/api/v1/history/batch-jobs?cursor={cursor}"));

    let refused = [
        list(&stack, &bob, &format!("?cursor={cursor}")).await,
        list(&stack, &ada, "?cursor=junk").await,
        list(&stack, &ada, &format!("?cursor={cursor}A")).await,
        jobs.bearer(&ada.access_token).send().await,
    ];

    for answer in refused {
        answer.assert_problem(400, "invalid-cursor");
    }
}

#[tokio::test]
async fn parameters_out_of_range_and_unknown_ones_are_named() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    for (parameters, field, code) in [
        ("?limit=0", "limit", "out-of-range"),
        ("?limit=101", "limit", "out-of-range"),
        ("?limit=x", "limit", "wrong-type"),
        ("?upstream=library", "upstream", "unknown"),
    ] {
        let answer = list(&stack, &ada, parameters).await;
        answer.assert_invalid(&[(field, code)]);
    }
}
