//! Upstreams that do not do their part: the client gets the documented answer, and the next request
//! works.

use std::time::Duration;

use super::{Proxied, age, cache_status, said};
use crate::support::{Reply, TestUpstream};

const IMPATIENT: &str = "timeout_ms = 300\nretries = 0\n";

/// Fields of an upstream that is not left alone however often it fails.
fn patient_breaker() -> String {
    format!("{IMPATIENT}breaker = {{ failures = 100 }}\n")
}

#[tokio::test]
async fn a_failure_is_told_and_the_next_request_works() {
    let large = Reply::bytes("text/plain", vec![b'x'; 10 * 1024 * 1024]);
    let lying = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec();
    let cases = [
        (Reply::silence(), 504, "upstream-timeout"),
        (Reply::reset(), 502, "upstream-failed"),
        (
            Reply::Raw(b"no HTTP\r\n\r\n".to_vec()),
            502,
            "upstream-failed",
        ),
        (Reply::Raw(lying.clone()), 502, "upstream-failed"),
        (Reply::RawThenSilence(lying), 504, "upstream-timeout"),
        (large, 502, "upstream-too-large"),
    ];
    let fields = patient_breaker();
    let proxied = Proxied::start(said("max-age=60"), &fields).await;

    for (case, (reply, status, code)) in cases.into_iter().enumerate() {
        proxied.upstream.answer(reply);
        let failed = proxied.get(&format!("/{case}")).send().await;
        proxied.upstream.answer(said("max-age=60"));
        let answer = proxied.get(&format!("/{case}")).send().await;

        failed.assert_problem(status, code);
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (200, "content"),
            "case {case}"
        );
        assert_eq!(
            cache_status(&answer),
            "fwd=uri-miss;fwd-status=200;stored;ttl=60"
        );
    }
}

#[tokio::test]
async fn a_length_that_the_body_has_not_is_not_passed_on() {
    let contradictory = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 3\r\n\
        transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    let proxied = Proxied::answering(Reply::Raw(contradictory.to_vec())).await;

    for _ in 0..2 {
        let answer = proxied.get("/books").send().await;

        assert_eq!((answer.status, answer.text.as_str()), (200, "abcd"));
        assert_eq!(answer.header("content-length"), "4");
    }
}

#[tokio::test]
async fn the_upstreams_own_failures_pass_with_their_body_and_are_not_kept() {
    let proxied = Proxied::start(said("no-store"), &patient_breaker()).await;

    for status in [400, 401, 429, 500, 501, 503] {
        let reply = said("max-age=60").with_status(status);
        proxied
            .upstream
            .answer(reply.with_header("retry-after", "7"));
        let path = format!("/{status}");
        proxied.get(&path).send().await;
        let before = proxied.calls();
        let answer = proxied.get(&path).send().await;

        assert_eq!((answer.status, answer.text.as_str()), (status, "content"));
        assert_eq!(answer.header("retry-after"), "7");
        // Only 501 says by itself that it may be kept, and no failure is.
        assert_eq!(proxied.calls() - before, 1, "{status}");
    }
}

#[tokio::test]
async fn content_that_is_no_text_passes_as_it_is() {
    let bytes = vec![0, 159, 146, 150, 255];
    let reply = Reply::bytes("application/octet-stream", bytes.clone());
    let reply = reply.with_header("cache-control", "max-age=60");
    let proxied = Proxied::answering(reply).await;
    let url = format!("{}/api/v1/proxy/library/books", proxied.stack.base);

    for _ in 0..2 {
        let request = reqwest::Client::new().get(&url);
        let request = request.bearer_auth(&proxied.user.access_token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), bytes);
    }
    assert_eq!(proxied.calls(), 1);
}

#[tokio::test]
async fn an_older_answer_stands_in_for_a_failing_upstream_as_long_as_it_allows() {
    let reply = said("max-age=60, stale-if-error=60").with_header("etag", "\"1\"");
    let fields = patient_breaker();
    let proxied = Proxied::start(reply, &fields).await;
    proxied.get("/books").send().await;
    proxied.stack.pass(Duration::from_secs(70));

    for (reply, status) in [
        (Reply::status(503), "503"),
        (Reply::reset(), "502"),
        (Reply::silence(), "504"),
    ] {
        proxied.upstream.answer(reply);
        let answer = proxied.get("/books").send().await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "content"));
        let expected = format!("fwd=stale;fwd-status={status}");
        assert!(
            cache_status(&answer).starts_with(&expected),
            "{}",
            cache_status(&answer)
        );
        assert_eq!(age(&answer), 70);
    }
    proxied.stack.pass(Duration::from_secs(51));
    let over = proxied.get("/books").send().await;

    over.assert_problem(504, "upstream-timeout");
}

#[tokio::test]
async fn nothing_stands_in_for_a_failure_that_does_not_allow_it() {
    for directives in [
        "max-age=60",
        "max-age=60, stale-if-error=60, must-revalidate",
    ] {
        let proxied = Proxied::start(said(directives), "retries = 0\n").await;
        proxied.get("/books").send().await;
        proxied.stack.pass(Duration::from_secs(70));
        proxied.upstream.answer(Reply::status(503));

        let answer = proxied.get("/books").send().await;

        assert_eq!(answer.status, 503, "{directives}");
    }
}

#[tokio::test]
async fn an_upstream_that_nobody_answers_at_is_a_failure() {
    let upstream = TestUpstream::answering(Reply::status(200)).await;
    let nobody = TestUpstream::nobody().await;
    let policy = crate::support::policy_with("library", &nobody, "proxy = true\nretries = 0\n");
    let proxied = Proxied::with_policy(upstream, &policy).await;

    let answer = proxied.get("/books").send().await;

    answer.assert_problem(502, "upstream-failed");
}
