//! What a server can do wrong: a call fails as documented and in time, and the next one works.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;
use turnpike_shared::limits::policy::UpstreamPolicy;
use turnpike_shared::upstreams::{UpstreamError, Upstreams};

use super::{Ground, NAME, get, policy_of, to};
use crate::support::{Reply, TestUpstream};

const MIB: usize = 1024 * 1024;
/// A breaker that stays out of these tests.
const NO_BREAKER: &str = "breaker = { failures = 1000 }";

/// What a call came to, in a word.
async fn outcome(upstreams: &Upstreams, policy: &UpstreamPolicy) -> &'static str {
    match get(upstreams, policy, "/").await {
        Ok(_) => "answer",
        Err(UpstreamError::Failed(_)) => "failed",
        Err(UpstreamError::TooLarge) => "too large",
        Err(UpstreamError::Timeout) => "timeout",
        Err(other) => panic!("{other:?}"),
    }
}

fn raw(text: &str) -> Reply {
    Reply::Raw(text.as_bytes().to_vec())
}

fn with_length(length: usize, body: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    [head.into_bytes(), vec![b'a'; body]].concat()
}

/// A body of unknown length, that ends with the connection.
fn without_length(body: usize) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; body]].concat()
}

fn chunked(chunks: usize, of: usize) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..chunks {
        bytes.extend_from_slice(format!("{of:x}\r\n").as_bytes());
        bytes.extend(vec![b'a'; of]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Has an upstream do this, and behave again: the call ends as is expected, and the next one works.
async fn check(cases: Vec<(&str, Reply, &str)>) {
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let fields = format!("timeout_ms = 400\nretries = 0\n{NO_BREAKER}");
    let policy = policy_of(&upstream, &fields);
    let upstreams = Ground::new().await.instance();

    for (what, reply, expected) in cases {
        upstream.answer(reply);
        let came_to = outcome(&upstreams, &policy).await;
        upstream.answer(Reply::text("a"));
        let next = get(&upstreams, &policy, "/").await;

        assert_eq!(came_to, expected, "{what}");
        assert_eq!(next.unwrap().body, "a", "after one that {what}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_has_timed_out() {
    let drip = Duration::from_millis(40);
    check(vec![
        ("hangs before the headers", Reply::silence(), "timeout"),
        (
            "hangs in the headers",
            Reply::RawThenSilence(b"HTTP/1.1 200".to_vec()),
            "timeout",
        ),
        (
            "hangs in the body",
            Reply::RawThenSilence(with_length(10, 5)),
            "timeout",
        ),
        (
            "drips its headers",
            Reply::Drip(with_length(10, 10), drip),
            "timeout",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_or_speaks_no_http_has_failed() {
    let long_head = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "a".repeat(200_000));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    check(vec![
        ("resets at once", Reply::reset(), "failed"),
        (
            "resets in the body",
            Reply::RawThenReset(with_length(10, 5)),
            "failed",
        ),
        ("hangs up at once", raw(""), "failed"),
        (
            "speaks something else",
            raw("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
            "failed",
        ),
        ("has a bad status", raw("HTTP/1.1 2x0 OK\r\n\r\n"), "failed"),
        (
            "has a bad header",
            raw("HTTP/1.1 200 OK\r\na b\r\n\r\n"),
            "failed",
        ),
        (
            "has a bad length",
            raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
            "failed",
        ),
        (
            "has two lengths",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            "failed",
        ),
        (
            "has a bad chunk",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
            "failed",
        ),
        (
            "switches protocols",
            raw("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"),
            "failed",
        ),
        ("has no end of headers", raw(&long_head), "failed"),
        ("has too many headers", raw(&many_headers), "failed"),
        (
            "sends less than it says",
            Reply::Raw(with_length(10, 5)),
            "failed",
        ),
    ])
    .await;
}

#[tokio::test]
async fn four_mebibytes_are_taken_and_no_byte_more_whatever_length_is_told() {
    check(vec![
        (
            "says 10 MB",
            Reply::Raw(with_length(10 * MIB, 10 * MIB)),
            "too large",
        ),
        (
            "says 10 MB and sends nothing",
            Reply::RawThenSilence(with_length(10 * MIB, 0)),
            "too large",
        ),
        (
            "sends 10 MB without a length",
            Reply::Raw(without_length(10 * MIB)),
            "too large",
        ),
        (
            "sends 10 MB in chunks",
            Reply::Raw(chunked(160, 64 * 1024)),
            "too large",
        ),
        (
            "sends one byte too many",
            Reply::Raw(with_length(4 * MIB + 1, 4 * MIB + 1)),
            "too large",
        ),
        (
            "sends as much as is taken",
            Reply::Raw(with_length(4 * MIB, 4 * MIB)),
            "answer",
        ),
        (
            "sends more than it says",
            Reply::Raw(with_length(5, 10)),
            "answer",
        ),
        (
            "continues first",
            raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            "answer",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_follows_an_answer_is_not_taken_for_the_next_one() {
    let smuggled = [with_length(1, 1), with_length(4, 4)].concat();
    let upstream = TestUpstream::answering(Reply::RawThenSilence(smuggled)).await;
    let policy = policy_of(&upstream, "timeout_ms = 2000\nretries = 0");
    let upstreams = Ground::new().await.instance();

    let first = get(&upstreams, &policy, "/").await.unwrap();
    upstream.answer(Reply::text("own"));
    let second = get(&upstreams, &policy, "/").await.unwrap();

    assert_eq!(
        (&first.body[..], &second.body[..]),
        (&b"a"[..], &b"own"[..])
    );
}

#[tokio::test]
async fn a_call_ends_by_its_deadline_however_long_the_policy_would_wait() {
    let upstream = TestUpstream::answering(Reply::silence()).await;
    let policy = policy_of(&upstream, "timeout_ms = 30000\nretries = 5");
    let upstreams = Ground::new().await.instance();

    let began = Instant::now();
    let request = to(&policy, Method::GET, "/");
    let deadline = began + Duration::from_millis(500);
    let late = upstreams.call(NAME, &policy, request, deadline).await;

    assert!(matches!(late, Err(UpstreamError::Timeout)), "{late:?}");
    // Some for a busy machine, and far less than the policy's.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
