//! What comes of a query: the result and its form, and what the cache has to do with it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Library, PolicyFile, ask, cache_of, put, stack_with, status_of};
use crate::support::{Reply, TestUpstream};

#[tokio::test]
async fn a_query_is_answered_by_the_upstream_once_and_then_from_the_cache() {
    let found = json!({"books": ["Moby-Dick"], "pages": 12_345_678_901_234_567_890_u64});
    let library = Library::answering(Reply::json(&found), "").await;
    let ada = library.stack.register("ada@example.com").await;

    let first = library.ask(&ada, "white whales & ü").send().await;
    library.stack.pass(Duration::from_secs(7));
    let second = library.ask(&ada, "white whales & ü").send().await;

    assert_eq!(cache_of(&first), ("miss", None));
    assert_eq!(first.body["result"], found);
    assert_eq!(first.body["upstream"], "library");
    assert!(first.body["id"].as_str().unwrap().starts_with("qry_"));
    assert!(first.body["execution_time_ms"].is_u64());
    assert_eq!(first.body["cache"]["age_seconds"], 0);
    assert_eq!(first.header("cache-control"), "no-store");
    let (status, tier) = cache_of(&second);
    assert_eq!((status, tier.is_some()), ("hit", true));
    assert_eq!(second.body["result"], found);
    assert_eq!(second.body["cache"]["age_seconds"], 7);
    assert_ne!(second.body["id"], first.body["id"]);
    let received = library.upstream.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].method, "GET");
    assert_eq!(received[0].target, "/?q=white+whales+%26+%C3%BC");
}

#[tokio::test]
async fn parameters_go_along_and_their_order_makes_no_other_query() {
    let library = Library::answering(Reply::json(&json!([])), "").await;
    let ada = library.stack.register("ada@example.com").await;
    let with = |params: &str| {
        let body = format!(r#"{{"upstream": "library", "query": "whales", "params": {params}}}"#);
        let call = library.stack.post(super::QUERY);
        call.bearer(&ada.access_token).raw_json(body)
    };

    let first = with(r#"{"limit": 5, "lang": "fr"}"#).send().await;
    let same = with(r#"{"lang": "fr", "limit": 5}"#).send().await;
    let other = with(r#"{"lang": "fr", "limit": 6}"#).send().await;
    let none = with("null").send().await;

    let statuses = [&first, &same, &other, &none].map(|answer| status_of(answer));
    assert_eq!(statuses, ["miss", "hit", "miss", "miss"]);
    let targets: Vec<String> = library
        .upstream
        .received()
        .into_iter()
        .map(|r| r.target)
        .collect();
    assert_eq!(
        targets,
        [
            "/?q=whales&lang=fr&limit=5",
            "/?q=whales&lang=fr&limit=6",
            "/?q=whales",
        ]
    );
}

#[tokio::test]
async fn an_upstream_that_is_asked_by_post_gets_json_and_its_answers_are_cached_as_well() {
    let library = Library::answering(Reply::json(&json!(42)), "method = \"POST\"").await;
    let ada = library.stack.register("ada@example.com").await;
    let body = |limit| json!({"upstream": "library", "query": "whales", "params": {"limit": limit, "a": [1]}});

    let first = put(&library.stack, &ada, &body(5)).send().await;
    let same = put(&library.stack, &ada, &body(5)).send().await;
    let other = put(&library.stack, &ada, &body(6)).send().await;

    let statuses = [&first, &same, &other].map(|answer| status_of(answer));
    assert_eq!(statuses, ["miss", "hit", "miss"]);
    let received = library.upstream.received();
    assert_eq!(
        (received[0].method.as_str(), received[0].target.as_str()),
        ("POST", "/")
    );
    assert_eq!(
        received[0].header("content-type").unwrap(),
        "application/json"
    );
    let expected = json!({"query": "whales", "params": {"a": [1], "limit": 5}});
    assert_eq!(received[0].json(), expected);
}

#[tokio::test]
async fn a_result_is_json_as_it_came_or_text_as_a_string() {
    let library = Library::answering(Reply::json(&Value::Null), "").await;
    let ada = library.stack.register("ada@example.com").await;
    let cases = [
        (
            "json",
            Reply::bytes("application/json", "{\"b\": 1.10, \"a\": 9007199254740993}"),
        ),
        ("text", Reply::text("plain {\"a\": 1}")),
        (
            "html",
            Reply::bytes("text/html; charset=utf-8", "<p>Grüße</p>"),
        ),
        ("nothing", Reply::status(204)),
    ];
    let expected = [
        r#"{"b": 1.10, "a": 9007199254740993}"#,
        r#""plain {\"a\": 1}""#,
        r#""<p>Grüße</p>""#,
        "null",
    ];

    for ((case, reply), expected) in cases.into_iter().zip(expected) {
        library.upstream.answer(reply);
        for status in ["miss", "hit"] {
            let answer = library.ask(&ada, case).send().await;

            assert_eq!(status_of(&answer), status, "{case}");
            let result = format!("\"result\":{expected},");
            assert!(answer.text.contains(&result), "{case}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn bypass_and_refresh_ask_the_upstream_and_refresh_alone_is_kept() {
    let library = Library::answering(Reply::json(&json!(1)), "").await;
    let ada = library.stack.register("ada@example.com").await;
    let with = |mode: &str| {
        let body = json!({"upstream": "library", "query": "whales", "cache": mode});
        put(&library.stack, &ada, &body)
    };
    let mut seen = vec![];

    for (number, mode) in ["default", "bypass", "default", "refresh", "default"]
        .into_iter()
        .enumerate()
    {
        library.upstream.answer(Reply::json(&json!(number)));
        let answer = with(mode).send().await;
        seen.push((status_of(&answer).to_owned(), answer.body["result"].clone()));
    }

    let expected = [
        ("miss", 0),
        ("bypass", 1),
        ("hit", 0),
        ("refresh", 3),
        ("hit", 3),
    ];
    let expected = expected.map(|(status, result)| (status.to_owned(), json!(result)));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn users_have_answers_of_their_own_unless_the_upstream_is_shared() {
    let own = Library::answering(Reply::json(&json!(1)), "").await;
    let shared = Library::answering(Reply::json(&json!(1)), "shared_cache = true").await;
    let mut seen = vec![];

    for library in [&own, &shared] {
        let ada = library.stack.register("ada@example.com").await;
        let bob = library.stack.register("bob@example.com").await;
        for account in [&ada, &bob, &ada, &bob] {
            let answer = library.ask(account, "whales").send().await;
            seen.push(status_of(&answer).to_owned());
        }
    }

    assert_eq!(seen[..4], ["miss", "miss", "hit", "hit"]);
    assert_eq!(seen[4..], ["miss", "hit", "hit", "hit"]);
    assert_eq!((own.upstream.calls(), shared.upstream.calls()), (2, 1));
}

#[tokio::test]
async fn nobody_goes_past_a_shared_answer_unless_the_policy_lets_them() {
    let fields = [
        "shared_cache = true",
        "shared_cache = true\nallow_refresh = true",
    ];
    let mut seen = vec![];

    for fields in fields {
        let library = Library::answering(Reply::json(&json!(1)), fields).await;
        let ada = library.stack.register("ada@example.com").await;
        for mode in ["default", "bypass", "refresh"] {
            let body = json!({"upstream": "library", "query": "whales", "cache": mode});
            let answer = put(&library.stack, &ada, &body).send().await;
            seen.push(status_of(&answer).to_owned());
        }
    }

    assert_eq!(seen[..3], ["miss", "hit", "hit"]);
    assert_eq!(seen[3..], ["miss", "bypass", "refresh"]);
}

#[tokio::test]
async fn what_is_for_one_client_is_not_kept() {
    let library = Library::answering(Reply::text("a"), "shared_cache = true").await;
    let ada = library.stack.register("ada@example.com").await;
    let cases = [
        ("a cookie", "set-cookie", "session=1", 2),
        ("private", "cache-control", "private, max-age=60", 2),
        ("no-store", "cache-control", "no-store", 2),
        ("public", "cache-control", "public, max-age=0", 1),
    ];

    for (case, name, value, calls) in cases {
        let before = library.upstream.calls();
        library
            .upstream
            .answer(Reply::text("a").with_header(name, value));
        for _ in 0..2 {
            let answer = library.ask(&ada, case).send().await;
            assert_eq!(answer.body["result"], "a", "{case}: {}", answer.text);
        }
        assert_eq!(library.upstream.calls() - before, calls, "{case}");
    }
}

#[tokio::test]
async fn headers_that_the_policy_forwards_make_another_query_and_no_other_does() {
    let library = Library::answering(Reply::text("a"), "").await;
    let ada = library.stack.register("ada@example.com").await;
    let with = |name: &str, value: &str| library.ask(&ada, "whales").header(name, value);

    let answers = [
        library.ask(&ada, "whales").send().await,
        with("accept-language", "fr").send().await,
        with("accept-language", "fr").send().await,
        with("accept", "text/html").send().await,
        with("if-none-match", "\"1\"").send().await,
        with("x-other", "1").send().await,
        with("cookie", "a=b").send().await,
    ];

    let statuses = answers.each_ref().map(|answer| status_of(answer));
    assert_eq!(
        statuses,
        ["miss", "miss", "hit", "hit", "hit", "hit", "hit"]
    );
    let received = library.upstream.received();
    assert_eq!(received[0].header("accept-language"), None);
    assert_eq!(received[1].header("accept-language").unwrap(), "fr");
    for request in &received {
        for name in ["authorization", "cookie", "if-none-match", "x-request-id"] {
            assert_eq!(request.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_stale_answer_is_served_and_then_fetched_anew_once() {
    let fields = "cache_ttl_seconds = 10\nstale_seconds = 60";
    let library = Library::answering(Reply::json(&json!(1)), fields).await;
    let ada = library.stack.register("ada@example.com").await;
    library.ask(&ada, "whales").send().await;
    library.upstream.answer(Reply::json(&json!(2)));
    library.stack.pass(Duration::from_secs(11));

    let stale = library.ask(&ada, "whales").send().await;
    library.stack.stack.settle().await.unwrap();
    let after = library.ask(&ada, "whales").send().await;

    assert_eq!(
        (status_of(&stale), &stale.body["result"]),
        ("stale", &json!(1))
    );
    assert_eq!(
        (status_of(&after), &after.body["result"]),
        ("hit", &json!(2))
    );
    assert_eq!(library.upstream.calls(), 2);
}

#[tokio::test]
async fn an_answer_that_is_too_old_is_not_served() {
    let library = Library::answering(Reply::json(&json!(1)), "cache_ttl_seconds = 10").await;
    let ada = library.stack.register("ada@example.com").await;
    library.ask(&ada, "whales").send().await;

    library.stack.pass(Duration::from_secs(11));
    let later = library.ask(&ada, "whales").send().await;

    assert_eq!(status_of(&later), "miss");
}

#[tokio::test]
async fn another_declaration_of_the_upstream_makes_other_queries() {
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let policy = PolicyFile::new(&upstream.policy("library", ""));
    let stack = stack_with(&policy, |options| options).await;
    let ada = stack.register("ada@example.com").await;
    ask(&stack, &ada, "whales").send().await;

    policy.write(&upstream.policy("library", "headers = { x-edition = \"2\" }"));
    stack.pass(Duration::from_secs(61));
    let after = crate::support::until(async || {
        let answer = ask(&stack, &ada, "whales").send().await;
        let is_read = status_of(&answer) == "miss";
        is_read
            .then_some(answer)
            .ok_or("the policy is read anew".to_owned())
    });

    assert_eq!(after.await.body["result"], "a");
    let last = upstream.received().pop().unwrap();
    assert_eq!(last.header("x-edition").unwrap(), "2");
}

#[tokio::test]
async fn what_was_put_to_an_upstream_is_in_its_users_history_with_what_became_of_it() {
    let library = Library::answering(Reply::text("a"), "retries = 0").await;
    let ada = library.stack.register("ada@example.com").await;
    let long = "x".repeat(3_000);
    let mut ids = vec![];

    for text in ["whales", "whales", &long] {
        let answer = library.ask(&ada, text).send().await;
        ids.push(answer.body["id"].as_str().unwrap().to_owned());
        library.stack.pass(Duration::from_secs(1));
    }
    library.upstream.answer(Reply::status(500));
    let failed = library.ask(&ada, "krill").send().await;
    let nowhere = json!({"upstream": "nowhere", "query": "a"});
    put(&library.stack, &ada, &nowhere).send().await;
    library.stack.stack.settle().await.unwrap();
    let history = library.stack.get("/api/v1/history/queries");
    let history = history.bearer(&ada.access_token).send().await;

    failed.assert_problem(502, "upstream-failed");
    let items = history.body["items"].as_array().unwrap();
    let shown = |item: &Value| {
        let text = item["query"].as_str().unwrap();
        let (status, tier) = (item["status"].clone(), item["cache_tier"].clone());
        (
            text.chars().take(6).collect::<String>(),
            text.len(),
            status,
            tier,
        )
    };
    let expected = [
        ("krill".to_owned(), 5, json!(502), Value::Null),
        ("xxxxxx".to_owned(), 2_000, json!(200), Value::Null),
        ("whales".to_owned(), 6, json!(200), json!("memory")),
        ("whales".to_owned(), 6, json!(200), Value::Null),
    ];
    assert_eq!(items.iter().map(shown).collect::<Vec<_>>(), expected);
    let recorded: Vec<&str> = items[1..]
        .iter()
        .rev()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(recorded, ids);
}
