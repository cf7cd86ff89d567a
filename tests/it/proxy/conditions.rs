//! 304s, both ways: the cache asks the upstream whether what it has still holds, and tells clients
//! that what they have does.

use std::time::Duration;

use super::{Proxied, age, cache_status, is_hit, said};
use crate::support::{Received, Reply};

const MODIFIED: &str = "Fri, 20 Nov 2026 10:00:00 GMT";

#[tokio::test]
async fn what_is_stale_is_asked_about_and_renewed_by_a_304() {
    let reply = said("max-age=60")
        .with_header("etag", "\"1\"")
        .with_header("last-modified", MODIFIED)
        .with_header("link", "<old>");
    let proxied = Proxied::answering(reply).await;
    proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(61));
    let renewal = Reply::status(304)
        .with_header("etag", "\"1\"")
        .with_header("link", "<new>")
        .with_header("cache-control", "max-age=100");
    proxied.upstream.answer(renewal);

    let renewed = proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(99));
    let again = proxied.get("/books").send().await;

    let asked = proxied.upstream.received().pop().unwrap();
    assert_eq!(asked.header("if-none-match").as_deref(), Some("\"1\""));
    assert_eq!(asked.header("if-modified-since").as_deref(), Some(MODIFIED));
    assert_eq!((renewed.status, renewed.text.as_str()), (200, "content"));
    assert_eq!(
        cache_status(&renewed),
        "fwd=stale;fwd-status=304;stored;ttl=100"
    );
    assert_eq!((age(&renewed), renewed.header("link")), (0, "<new>"));
    assert_eq!(renewed.header("content-type"), "text/plain");
    assert!(is_hit(&again));
    assert_eq!(proxied.calls(), 2);
}

#[tokio::test]
async fn a_304_for_something_else_is_not_believed() {
    let proxied = Proxied::answering(said("max-age=60").with_header("etag", "\"1\"")).await;
    proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(61));
    proxied.upstream.behave(|request: &Received| {
        if request.header("if-none-match").is_some() {
            Reply::status(304).with_header("etag", "\"2\"")
        } else {
            Reply::text("newer").with_header("etag", "\"2\"")
        }
    });

    let answer = proxied.get("/books").send().await;

    assert_eq!((answer.status, answer.text.as_str()), (200, "newer"));
    assert_eq!(proxied.calls(), 3);
}

#[tokio::test]
async fn what_has_changed_takes_the_place_of_what_was_asked_about() {
    let proxied = Proxied::answering(said("max-age=60").with_header("etag", "\"1\"")).await;
    proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(61));
    let newer = Reply::text("newer").with_header("cache-control", "max-age=60");
    proxied.upstream.answer(newer);

    let answer = proxied.get("/books").send().await;
    let again = proxied.get("/books").send().await;

    assert_eq!(
        cache_status(&answer),
        "fwd=stale;fwd-status=200;stored;ttl=60"
    );
    assert_eq!((answer.text, is_hit(&again)), ("newer".to_owned(), true));
    assert_eq!(again.text, "newer");
}

#[tokio::test]
async fn who_has_it_is_told_so_from_the_cache_and_past_it() {
    let reply = said("max-age=60")
        .with_header("etag", "\"1\"")
        .with_header("last-modified", MODIFIED);
    let proxied = Proxied::answering(reply).await;
    let cases = [
        ("if-none-match", "\"0\", W/\"1\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"2\"", 200),
        ("if-modified-since", MODIFIED, 304),
        ("if-modified-since", "Thu, 19 Nov 2026 10:00:00 GMT", 200),
    ];

    for (case, (name, value, expected)) in cases.into_iter().enumerate() {
        for is_kept in [false, true] {
            let call = proxied.get(&format!("/{case}")).header(name, value);
            let answer = call.send().await;
            assert_eq!(answer.status, expected, "{name}: {value}");
            assert_eq!(is_hit(&answer), is_kept, "{name}: {value}");
            assert_eq!(answer.header("etag"), "\"1\"");
            assert_eq!(answer.header("cache-control"), "private, max-age=60");
            let has_content = answer.headers.contains_key("content-type");
            assert_eq!(has_content, expected == 200, "{name}: {value}");
            assert_eq!(answer.text.is_empty(), expected == 304, "{name}: {value}");
        }
    }
    assert_eq!(proxied.calls(), cases.len());
    let received = proxied.upstream.received();
    let is_conditional = |it: &Received| {
        it.header("if-none-match").is_some() || it.header("if-modified-since").is_some()
    };
    // Whoever else asks is to get the whole answer.
    assert!(!received.iter().any(is_conditional));
}

#[tokio::test]
async fn a_condition_that_goes_past_the_cache_is_the_upstreams_to_answer() {
    let proxied = Proxied::answering(Reply::status(304).with_header("etag", "\"1\"")).await;

    let call = proxied.get("/books").header("if-none-match", "\"1\"");
    let answer = call.header("cache-control", "no-store").send().await;

    assert_eq!((answer.status, answer.text.as_str()), (304, ""));
    let asked = proxied.upstream.received().pop().unwrap();
    assert_eq!(asked.header("if-none-match").as_deref(), Some("\"1\""));
}
