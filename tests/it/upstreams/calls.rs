//! What goes to an upstream that behaves, and what comes back.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::json;
use tokio::time::Instant;
use turnpike_shared::upstreams::{Target, UpstreamError, UpstreamRequest};

use super::{Ground, NAME, PLENTY, get, policy_of, to, upstream_at};
use crate::support::{Reply, TestUpstream};

fn headers(named: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

#[tokio::test]
async fn method_path_query_and_body_arrive_and_the_answer_comes_back() {
    let upstream = TestUpstream::answering(Reply::text("made").with_status(201)).await;
    let policy = policy_of(&upstream, "");
    let target = Target::of_path(&policy, "books/1%20a", Some("b=2&a=1&a=%2F")).unwrap();
    let request = UpstreamRequest {
        body: "content".into(),
        ..UpstreamRequest::new(Method::PUT, target)
    };

    let upstreams = Ground::new().await.instance();
    let answer = upstreams.call(NAME, &policy, request, Instant::now() + PLENTY);
    let answer = answer.await.unwrap();

    let received = upstream.received().remove(0);
    assert_eq!(
        (received.method.as_str(), received.target.as_str()),
        ("PUT", "/books/1%20a?b=2&a=1&a=%2F")
    );
    assert_eq!(received.body, b"content");
    assert_eq!(received.header("content-length").unwrap(), "7");
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (201, &b"made"[..])
    );
}

#[tokio::test]
async fn a_query_goes_as_parameters_of_which_none_takes_its_place() {
    let upstream = TestUpstream::answering(Reply::text("")).await;
    let policy = policy_of(&upstream, "");
    let params =
        json!({"q": "evil", "page": 2, "tag": ["a b", "c&d"], "deep": {"x": 1}, "none": null});
    let target = Target::of_query(&policy, "Moby Dick & co", params.as_object().unwrap()).unwrap();

    let upstreams = Ground::new().await.instance();
    let request = UpstreamRequest::new(Method::GET, target);
    let answer = upstreams.call(NAME, &policy, request, Instant::now() + PLENTY);
    answer.await.unwrap();

    assert_eq!(
        upstream.received()[0].target,
        "/?q=Moby+Dick+%26+co&page=2&tag=a+b&tag=c%26d&deep=%7B%22x%22%3A1%7D&none="
    );
}

#[tokio::test]
async fn only_what_the_policy_allows_goes_of_a_callers_headers() {
    let upstream = TestUpstream::answering(Reply::text("")).await;
    let policy = policy_of(&upstream, "headers = { \"X-Client\" = \"turnpike\" }");
    let request = UpstreamRequest {
        headers: headers(&[
            ("accept", "text/html"),
            ("accept-language", "en"),
            ("connection", "accept-language, x-client"),
            ("authorization", "Bearer caller"),
            ("cookie", "a=b"),
            ("host", "evil.example"),
            ("transfer-encoding", "chunked"),
            ("content-length", "1000"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-client", "evil"),
            ("te", "trailers"),
        ]),
        own_headers: headers(&[("if-none-match", "\"1\"")]),
        ..to(&policy, Method::GET, "/")
    };

    let upstreams = Ground::new().await.instance();
    let answer = upstreams.call(NAME, &policy, request, Instant::now() + PLENTY);
    answer.await.unwrap();

    let received = upstream.received().remove(0);
    let mut names: Vec<&str> = received
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "host",
        "if-none-match",
        "user-agent",
        "x-client",
    ];
    assert_eq!(names, expected);
    assert_eq!(received.header("x-client").unwrap(), "turnpike");
    assert_eq!(received.header("accept-encoding").unwrap(), "identity");
    assert_eq!(
        received.header("host").unwrap(),
        upstream.base.replace("http://", "")
    );
}

#[tokio::test]
async fn of_an_answers_headers_only_those_of_its_content_come_back() {
    let reply = Reply::json(&json!({}))
        .with_header("etag", "\"1\"")
        .with_header("vary", "accept")
        .with_header("vary", "accept-language")
        .with_header("set-cookie", "session=1")
        .with_header("location", "http://internal.example/")
        .with_header("connection", "x-hop, cache-control")
        .with_header("cache-control", "public")
        .with_header("keep-alive", "timeout=5")
        .with_header("access-control-allow-origin", "*")
        .with_header("server", "secret/1.0");
    let upstream = TestUpstream::answering(reply).await;
    let policy = policy_of(&upstream, "");

    let answer = get(&Ground::new().await.instance(), &policy, "/")
        .await
        .unwrap();

    let expected = [
        ("content-type", "application/json"),
        ("etag", "\"1\""),
        ("vary", "accept"),
        ("vary", "accept-language"),
    ];
    assert_eq!(answer.headers, headers(&expected));
    assert!(answer.is_for_its_reader);
}

#[tokio::test]
async fn any_status_is_an_answer() {
    let upstream = TestUpstream::answering(Reply::status(200)).await;
    let policy = policy_of(&upstream, "retries = 0\nbreaker = { failures = 100 }");
    let upstreams = Ground::new().await.instance();

    for status in [204, 206, 304, 400, 401, 404, 418, 429, 500, 501, 503, 599] {
        upstream.answer(Reply::status(status));
        let answer = get(&upstreams, &policy, "/").await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_as_they_are() {
    let bytes: Vec<u8> = (0..=255).rev().collect();
    let upstream = TestUpstream::answering(Reply::bytes("application/octet-stream", bytes.clone()));
    let upstream = upstream.await;

    let answer = get(
        &Ground::new().await.instance(),
        &policy_of(&upstream, ""),
        "/",
    )
    .await;

    assert_eq!(answer.unwrap().body, bytes);
}

#[tokio::test]
async fn nothing_is_decoded_so_that_no_answer_grows() {
    // Ten bytes that say of themselves that they are compressed.
    let reply = Reply::bytes("text/plain", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
        .with_header("content-encoding", "gzip");
    let upstream = TestUpstream::answering(reply).await;

    let answer = get(
        &Ground::new().await.instance(),
        &policy_of(&upstream, ""),
        "/",
    )
    .await;

    let answer = answer.unwrap();
    assert_eq!(answer.body.len(), 10);
    assert_eq!(answer.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let policy = policy_of(&upstream, "");
    let upstreams = Ground::new().await.instance();

    for _ in 0..5 {
        get(&upstreams, &policy, "/").await.unwrap();
    }

    assert_eq!((upstream.calls(), upstream.connections()), (5, 1));
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_whatever_length_it_tells_of() {
    let upstream = TestUpstream::answering(Reply::bytes("text/plain", vec![b'a'; 10 << 20])).await;
    let policy = policy_of(&upstream, "");
    let upstreams = Ground::new().await.instance();

    let request = to(&policy, Method::HEAD, "/");
    let answer = upstreams.call(NAME, &policy, request, Instant::now() + PLENTY);
    let answer = answer.await.unwrap();

    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_failure() {
    let policy = upstream_at(&TestUpstream::nobody().await, "retries = 1");

    let failed = get(&Ground::new().await.instance(), &policy, "/").await;

    assert!(
        matches!(failed, Err(UpstreamError::Failed(_))),
        "{failed:?}"
    );
}

#[tokio::test]
async fn nothing_is_asked_in_the_open_of_an_upstream_that_is_to_speak_tls() {
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let policy = upstream_at(
        &upstream.base.replace("http:", "https:"),
        "retries = 0\ntimeout_ms = 500",
    );

    let failed = get(&Ground::new().await.instance(), &policy, "/").await;

    assert!(failed.is_err(), "{failed:?}");
    assert_eq!((upstream.connections(), upstream.calls()), (1, 0));
}

#[tokio::test]
async fn a_call_without_time_is_not_made() {
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let policy = policy_of(&upstream, "");
    let upstreams = Ground::new().await.instance();

    let request = to(&policy, Method::GET, "/");
    let deadline = Instant::now() + Duration::from_millis(10);
    let late = upstreams.call(NAME, &policy, request, deadline).await;

    assert!(matches!(late, Err(UpstreamError::Timeout)), "{late:?}");
    assert_eq!(upstream.calls(), 0);
}
