//! What a query counts: what was admitted less what was given back, in every window and in the
//! record of it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use tokio::task::JoinSet;
use turnpike_local::{Engine, Options};
use turnpike_shared::usage::UsageRecord;

use super::{Library, QUERY, put, status_of};
use crate::limits_on_the_wire::{DECIDERS, Decider, limit_of, remaining, url_of};
use crate::recording::records;
use crate::support::{
    Account, Fault, FaultProxy, OwnEngine, RedisServer, Reply, TestStack, client_at,
};

/// The fields of a dear upstream whose cached answers are cheap, and a class for it alone.
const DEAR: &str = "cost = 5\nhit_cost = 1\nclass = \"dear\"\n\
                    [classes.dear]\nlimits = [\"1000000/day\"]\n";

async fn dear(decider: Decider) -> (Library, Option<RedisServer>) {
    let server = decider.server().await;
    let valkey = url_of(server.as_ref());
    let library = Library::start(Reply::text("a"), DEAR, |options| Options {
        valkey,
        ..options
    });
    (library.await, server)
}

/// What the user has used of each of these limits.
async fn used(stack: &TestStack, account: &Account, names: &[&str]) -> Vec<u64> {
    let quota = stack
        .get("/api/v1/users/quota")
        .bearer(&account.access_token);
    let quota = quota.send().await;
    assert_eq!(quota.status, 200, "{}", quota.text);
    let limits = quota.body["limits"].as_array().unwrap().clone();
    let of = |name: &&str| {
        let limit = limits.iter().find(|limit| limit["name"] == **name);
        limit.unwrap()["used"].as_u64().unwrap()
    };
    names.iter().map(of).collect()
}

/// What was charged for queries, by the records of them.
async fn charged(stack: &TestStack) -> Vec<u32> {
    stack.stack.recorder.flush().await;
    let is_query = |record: &UsageRecord| record.path == QUERY;
    let records = records(&stack.dynamodb().await).await;
    records
        .into_iter()
        .filter(is_query)
        .map(|record| record.charged)
        .collect()
}

#[tokio::test]
async fn an_answer_from_the_cache_counts_the_less_in_every_window_and_in_its_record() {
    for decider in DECIDERS {
        let (library, _server) = dear(decider).await;
        let stack = &library.stack;
        let ada = stack.register("ada@example.com").await;
        let limits = json!({"hour": 1000, "day": 1000, "month": 1000});
        let key = stack.make_key(&ada, json!({"limits": limits})).await;
        let before = used(stack, &ada, &["hour", "dear"]).await;
        let body = json!({"upstream": "library", "query": "a"});
        let mut left = vec![];

        for status in ["miss", "hit", "hit"] {
            let answer = stack.post(QUERY).key(&key.secret).json(&body).send().await;
            assert_eq!(status_of(&answer), status);
            let of = ["dear", "key-hour", "key-day", "key-month"];
            left.push(of.map(|name| remaining(&answer, name)));
        }

        assert_eq!(
            left,
            [
                [999_995, 995, 995, 995],
                [999_994, 994, 994, 994],
                [999_993, 993, 993, 993],
            ],
            "{decider:?}"
        );
        assert_eq!(charged(stack).await, [5, 1, 1]);
        let after = used(stack, &ada, &["hour", "dear"]).await;
        // The request that asked how it stood counts in the hour, too.
        assert_eq!(
            (after[0] - before[0], after[1] - before[1]),
            (8, 7),
            "{decider:?}"
        );
    }
}

#[tokio::test]
async fn a_hit_that_costs_nothing_leaves_a_limit_whole() {
    for decider in DECIDERS {
        let server = decider.server().await;
        let valkey = url_of(server.as_ref());
        let fields = "hit_cost = 0\nshared_cache = true\nclass = \"dear\"\n\
                      [classes.dear]\nlimits = [\"1/day\"]\n";
        let library = Library::start(Reply::text("a"), fields, |options| Options {
            valkey,
            ..options
        });
        let library = library.await;
        let ada = library.stack.register("ada@example.com").await;
        let bob = library.stack.register("bob@example.com").await;
        library.ask(&ada, "a").send().await;

        for _ in 0..3 {
            let answer = library.ask(&bob, "a").send().await;

            assert_eq!(status_of(&answer), "hit");
            let dear = limit_of(&answer, "dear");
            assert_eq!((dear.remaining, dear.reset), (1, Some(0)), "{decider:?}");
        }
    }
}

#[tokio::test]
async fn what_fails_and_what_is_unknown_counts_as_much_as_it_was_let_in_for() {
    let (library, _server) = dear(Decider::DynamoDb).await;
    let stack = &library.stack;
    let ada = stack.register("ada@example.com").await;
    let nowhere = json!({"upstream": "nowhere", "query": "a"});

    library
        .upstream
        .answer(Reply::text("\u{fffd}").with_status(400));
    let failed = library.ask(&ada, "a").send().await;
    let unknown = put(stack, &ada, &nowhere).send().await;
    let invalid = put(stack, &ada, &json!({})).send().await;

    failed.assert_problem(502, "upstream-failed");
    assert_eq!((unknown.status, invalid.status), (404, 422));
    assert_eq!(charged(stack).await, [5, 1]);
}

#[tokio::test]
async fn whom_nothing_limits_is_recorded_with_what_their_queries_cost() {
    let (library, _server) = dear(Decider::DynamoDb).await;
    let stack = &library.stack;
    let ada = stack.register("ada@example.com").await;
    let enterprise = AttributeValue::S("enterprise".into());
    stack.set_user_attribute(&ada.id, "tier", enterprise).await;

    for status in ["miss", "hit"] {
        assert_eq!(status_of(&library.ask(&ada, "a").send().await), status);
    }

    assert_eq!(charged(stack).await, [5, 1]);
}

#[tokio::test]
async fn of_many_at_once_exactly_what_was_not_given_back_is_counted_and_recorded() {
    const AT_ONCE: usize = 64;
    for decider in DECIDERS {
        let (library, _server) = dear(decider).await;
        let stack = &library.stack;
        let ada = stack.register("ada@example.com").await;
        let before = used(stack, &ada, &["hour", "dear"]).await;
        let mut sent = JoinSet::new();

        // Eight queries, each asked eight times, all at once.
        for number in 0..AT_ONCE {
            sent.spawn(library.ask(&ada, &format!("q{}", number % 8)).send());
        }
        let answers = sent.join_all().await;

        let is_hit = |status: &str| ["hit", "stale"].contains(&status);
        let hits = answers
            .iter()
            .filter(|answer| is_hit(status_of(answer)))
            .count();
        let expected = u64::try_from(5 * (AT_ONCE - hits) + hits).unwrap();
        let after = used(stack, &ada, &["hour", "dear"]).await;
        assert_eq!(after[1] - before[1], expected, "{decider:?}, {hits} hits");
        assert_eq!(
            after[0] - before[0],
            expected + 1,
            "{decider:?}, {hits} hits"
        );
        let recorded: u64 = charged(stack).await.into_iter().map(u64::from).sum();
        assert_eq!(recorded, expected, "{decider:?}");
        assert_eq!(library.upstream.calls(), 8);
    }
}

#[tokio::test]
async fn what_the_store_does_not_give_back_stays_charged_and_recorded() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let endpoint = proxy.endpoint.clone();
    let library = Library::start(Reply::text("a"), DEAR, |options| Options {
        engine: Engine::At(endpoint),
        ..options
    });
    let library = library.await;
    let ada = library.stack.register("ada@example.com").await;
    library.ask(&ada, "a").send().await;

    // Only what takes something back wants at least that much to be there.
    proxy.set(Fault::Throttle(">=".to_owned()));
    let answer = library.ask(&ada, "a").send().await;
    proxy.set(Fault::None);

    assert_eq!(status_of(&answer), "hit");
    assert_eq!(remaining(&answer, "dear"), 999_990);
    assert_eq!(used(&library.stack, &ada, &["dear"]).await, [10]);
    library.stack.stack.recorder.flush().await;
    let records = records(&client_at(&engine.endpoint())).await;
    let charged = records.iter().filter(|record| record.path == QUERY);
    assert_eq!(charged.map(|record| record.charged).sum::<u32>(), 10);
}

#[tokio::test]
async fn a_refund_goes_where_the_request_was_counted_even_if_time_has_passed_since() {
    let (library, _server) = dear(Decider::DynamoDb).await;
    let ada = library.stack.register("ada@example.com").await;
    library.ask(&ada, "a").send().await;

    let mut left = vec![];
    for pause in [0, 61, 300] {
        library.stack.pass(Duration::from_secs(pause));
        let body = json!({"upstream": "library", "query": "a", "cache": "default"});
        let answer = put(&library.stack, &ada, &body).send().await;
        left.push((status_of(&answer).to_owned(), remaining(&answer, "dear")));
    }

    let expected = [("hit", 999_994), ("hit", 999_993), ("miss", 999_988)];
    assert_eq!(
        left,
        expected.map(|(status, left)| (status.to_owned(), left))
    );
}
