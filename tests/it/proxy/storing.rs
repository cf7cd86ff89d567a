//! What is not kept, although it could be.

use std::time::Duration;

use reqwest::Method;

use super::{Proxied, cache_status, is_hit, said};
use crate::support::Reply;

#[tokio::test]
async fn what_must_not_be_kept_is_asked_for_every_time() {
    let cases = [
        said("no-store, max-age=60"),
        said("No-Store, max-age=60"),
        said("max-age=60").with_header("set-cookie", "a=b"),
        said("max-age=60").with_header("vary", "*"),
        said("max-age=60").with_status(206),
        said("max-age=60").with_status(500),
        said("max-age=60").with_status(403),
        said("max-age=60, no-cache"),
        Reply::status(302),
    ];
    let proxied = Proxied::start(said("no-store"), "retries = 0\n").await;

    for (case, reply) in cases.into_iter().enumerate() {
        proxied.upstream.answer(reply);
        let before = proxied.calls();
        let path = format!("/{case}");
        let first = proxied.get(&path).send().await;
        let second = proxied.get(&path).send().await;
        assert_eq!(proxied.calls() - before, 2, "case {case}");
        assert!(!is_hit(&second), "case {case}");
        assert_eq!(
            (first.status, first.text),
            (second.status, second.text),
            "case {case}"
        );
    }
}

#[tokio::test]
async fn what_says_that_nothing_is_there_is_kept_as_long_as_it_says() {
    let proxied = Proxied::answering(said("max-age=60").with_status(404)).await;

    proxied.get("/books").send().await;
    let again = proxied.get("/books").send().await;

    assert_eq!((again.status, again.text.as_str()), (404, "content"));
    assert!(is_hit(&again));
}

#[tokio::test]
async fn who_wants_nothing_kept_leaves_nothing_behind() {
    let proxied = Proxied::answering(said("max-age=60")).await;
    let call = proxied.get("/books").header("cache-control", "no-store");

    let first = call.send().await;
    let second = proxied.get("/books").send().await;

    assert_eq!(cache_status(&first), "fwd=uri-miss;fwd-status=200");
    assert_eq!(
        cache_status(&second),
        "fwd=uri-miss;fwd-status=200;stored;ttl=60"
    );
}

#[tokio::test]
async fn what_is_private_is_kept_for_one_user_and_not_for_all() {
    for (fields, expected) in [("", true), ("shared_cache = true\n", false)] {
        let proxied = Proxied::start(said("private, max-age=60"), fields).await;

        proxied.get("/books").send().await;
        let again = proxied.get("/books").send().await;

        assert_eq!(is_hit(&again), expected, "{fields:?}");
    }
}

#[tokio::test]
async fn other_methods_are_never_answered_from_the_cache_nor_kept() {
    let fields = "methods = [\"GET\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\"]\n";
    let proxied = Proxied::start(said("public, max-age=60"), fields).await;
    proxied.get("/books").send().await;

    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let before = proxied.calls();
        for _ in 0..2 {
            let answer = proxied.call(method.clone(), "/other").send().await;
            assert_eq!(
                cache_status(&answer),
                "fwd=method;fwd-status=200",
                "{method}"
            );
        }
        assert_eq!(proxied.calls() - before, 2, "{method}");
    }
}

#[tokio::test]
async fn parts_of_an_answer_are_the_upstreams_to_give() {
    let fields = "forward_headers = [\"range\"]\n";
    let whole = said("max-age=60").with_header("etag", "\"1\"");
    let proxied = Proxied::start(whole, fields).await;
    proxied.get("/books").send().await;
    proxied.upstream.answer(
        Reply::text("con")
            .with_status(206)
            .with_header("content-range", "bytes 0-2/7"),
    );

    let part = proxied
        .get("/books")
        .header("range", "bytes=0-2")
        .send()
        .await;
    let all = proxied.get("/books").send().await;

    assert_eq!((part.status, part.text.as_str()), (206, "con"));
    assert_eq!(part.header("content-range"), "bytes 0-2/7");
    assert_eq!(cache_status(&part), "fwd=bypass;fwd-status=206");
    assert_eq!((all.status, all.text.as_str()), (200, "content"));
}

#[tokio::test]
async fn a_head_is_answered_from_a_kept_get_and_is_itself_not_kept() {
    let proxied = Proxied::answering(said("max-age=60").with_header("etag", "\"1\"")).await;
    let head = || proxied.call(Method::HEAD, "/books");

    let before = head().send().await;
    let again = head().send().await;
    proxied.get("/books").send().await;
    let after = head().send().await;
    proxied.stack.pass(Duration::from_secs(61));
    let late = head().send().await;

    for passed in [&before, &again] {
        assert_eq!(cache_status(passed), "fwd=uri-miss;fwd-status=200");
        assert_eq!(passed.header("etag"), "\"1\"");
        // As long as the content of a GET would be.
        assert_eq!(passed.header("content-length"), "7");
    }
    assert_eq!(cache_status(&after), "hit;ttl=60;detail=memory");
    assert_eq!(
        (after.header("content-length"), after.text.as_str()),
        ("7", "")
    );
    assert_eq!(cache_status(&late), "fwd=stale;fwd-status=200");
    let methods: Vec<String> = proxied
        .upstream
        .received()
        .into_iter()
        .map(|it| it.method)
        .collect();
    assert_eq!(methods, ["HEAD", "HEAD", "GET", "HEAD"]);
}
