//! For how long an answer is given again, and what the client has to say in that.

use std::time::Duration;

use super::{Proxied, age, cache_status, is_hit, said};
use crate::support::{Reply, until};

#[tokio::test]
async fn an_answer_is_given_again_with_its_age_for_as_long_as_it_is_fresh() {
    let reply = said("max-age=60").with_header("age", "10");
    let proxied = Proxied::answering(reply.with_header("etag", "\"1\"")).await;

    let first = proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(20));
    let second = proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(31));
    let third = proxied.get("/books").send().await;

    assert_eq!((first.status, first.text.as_str()), (200, "content"));
    assert_eq!(
        cache_status(&first),
        "fwd=uri-miss;fwd-status=200;stored;ttl=50"
    );
    assert_eq!(age(&first), 10);
    assert_eq!((second.status, second.text.as_str()), (200, "content"));
    assert_eq!(cache_status(&second), "hit;ttl=30;detail=memory");
    assert_eq!(age(&second), 30);
    assert_eq!(second.header("content-type"), "text/plain");
    assert_eq!(
        cache_status(&third),
        "fwd=stale;fwd-status=200;stored;ttl=50"
    );
    assert_eq!(proxied.calls(), 2);
}

#[tokio::test]
async fn freshness_follows_the_upstream_by_whatever_it_says_it() {
    let dated = |name: &str, value: &str| {
        Reply::text("content")
            .with_header("date", "Sat, 21 Nov 2026 10:00:00 GMT")
            .with_header(name, value)
    };
    // The answer, whether it is given again after a second, and after a minute.
    let cases = [
        (said("max-age=30"), true, false),
        (said("MAX-AGE=\"30\""), true, false),
        (said("s-maxage=100, max-age=30"), true, false),
        (said("max-age=100, no-cache"), false, false),
        (
            dated("expires", "Sat, 21 Nov 2026 10:00:30 GMT"),
            true,
            false,
        ),
        (
            dated("expires", "Saturday, 21-Nov-26 10:00:30 GMT"),
            true,
            false,
        ),
        (dated("expires", "0"), false, false),
        (
            dated("last-modified", "Sat, 21 Nov 2026 09:55:00 GMT"),
            true,
            false,
        ),
        (
            dated("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT"),
            true,
            true,
        ),
        (Reply::text("content"), false, false),
        (
            Reply::text("content").with_header("pragma", "no-cache"),
            false,
            false,
        ),
    ];
    let proxied = Proxied::answering(said("no-store")).await;

    for (case, (reply, after_a_second, after_a_minute)) in cases.into_iter().enumerate() {
        proxied.upstream.answer(reply);
        let path = format!("/{case}");
        proxied.get(&path).send().await;
        proxied.stack.pass(Duration::from_secs(1));
        let found = is_hit(&proxied.get(&path).send().await);
        assert_eq!(found, after_a_second, "case {case} after a second");
        proxied.stack.pass(Duration::from_mins(1));
        let found = is_hit(&proxied.get(&path).send().await);
        assert_eq!(found, after_a_minute, "case {case} after a minute");
    }
}

#[tokio::test]
async fn a_client_may_want_it_fresher_or_take_it_staler() {
    // What the client says, and what becomes of an answer that is fresh for a minute, 30 s and 90 s
    // after it came.
    let cases = [
        ("", "hit", "fwd=stale"),
        ("no-cache", "fwd=request", "fwd=stale"),
        ("max-age=20", "fwd=request", "fwd=stale"),
        ("max-age=40", "hit", "fwd=stale"),
        ("min-fresh=40", "fwd=request", "fwd=stale"),
        ("min-fresh=20", "hit", "fwd=stale"),
        ("max-stale", "hit", "hit;ttl=-30"),
        ("max-stale=60", "hit", "hit;ttl=-30"),
        ("max-stale=10", "hit", "fwd=stale"),
        ("no-store", "hit", "fwd=stale"),
    ];
    for (seconds, column) in [(30, 0), (90, 1)] {
        let reply = said("max-age=60").with_header("etag", "\"1\"");
        let proxied = Proxied::answering(reply).await;
        for case in 0..cases.len() {
            proxied.get(&format!("/{case}")).send().await;
        }
        proxied.stack.pass(Duration::from_secs(seconds));

        for (case, (wanted, early, late)) in cases.iter().enumerate() {
            let call = proxied.get(&format!("/{case}"));
            let answer = call.header("cache-control", wanted).send().await;
            let expected = [early, late][column];
            let status = cache_status(&answer);
            assert!(
                status.starts_with(expected),
                "{wanted:?} after {seconds} s: {status}"
            );
            assert_eq!(answer.text, "content");
        }
    }
}

#[tokio::test]
async fn a_pragma_alone_is_a_no_cache() {
    let proxied = Proxied::answering(said("max-age=60")).await;
    proxied.get("/").send().await;

    let answer = proxied.get("/").header("pragma", "no-cache").send().await;

    assert!(cache_status(&answer).starts_with("fwd=request"));
}

#[tokio::test]
async fn who_wants_only_what_is_there_is_not_sent_to_the_upstream() {
    let proxied = Proxied::answering(said("max-age=60")).await;
    let only = || {
        proxied
            .get("/books")
            .header("cache-control", "only-if-cached")
    };

    let before = only().send().await;
    proxied.get("/books").send().await;
    let after = only().send().await;
    proxied.stack.pass(Duration::from_secs(61));
    let late = only().send().await;

    before.assert_problem(504, "not-cached");
    assert!(is_hit(&after));
    late.assert_problem(504, "not-cached");
    assert_eq!(proxied.calls(), 1);
}

#[tokio::test]
async fn what_may_be_stale_while_it_is_fetched_is_given_at_once_and_fetched_afterwards() {
    let proxied = Proxied::answering(said("max-age=60, stale-while-revalidate=30")).await;
    proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(70));
    let newer = Reply::text("newer").with_header("cache-control", "max-age=60");
    proxied.upstream.answer(newer);

    let stale = proxied.get("/books").send().await;
    until(async || {
        let text = proxied.get("/books").send().await.text;
        if text == "newer" { Ok(()) } else { Err(text) }
    })
    .await;
    let fresh = proxied.get("/books").send().await;

    assert_eq!(stale.text, "content");
    assert!(cache_status(&stale).starts_with("hit;ttl=-10;"));
    assert_eq!(age(&stale), 70);
    assert!(is_hit(&fresh));
    assert_eq!(proxied.calls(), 2);
}

#[tokio::test]
async fn what_is_kept_survives_the_memory_of_a_process() {
    let proxied = Proxied::answering(said("max-age=86400")).await;
    proxied.get("/books").send().await;

    // Memory holds entries for five minutes.
    proxied.stack.pass(Duration::from_mins(10));
    let answer = proxied.get("/books").send().await;

    assert_eq!(cache_status(&answer), "hit;ttl=85800;detail=dynamodb");
    assert_eq!(age(&answer), 600);
}
