//! What is tried again, how often, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;

use super::{Ground, NAME, PLENTY, get, policy_of, to};
use crate::support::{Reply, TestUpstream};

/// Answers with `reply` so often, and well from then on.
async fn failing(times: usize, reply: Reply) -> TestUpstream {
    let asked = Arc::new(AtomicUsize::new(0));
    TestUpstream::start(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) < times {
            reply.clone()
        } else {
            Reply::text("at last")
        }
    })
    .await
}

#[tokio::test]
async fn what_may_pass_by_itself_is_tried_again_until_it_has_passed() {
    let passing = [
        Reply::reset(),
        Reply::Raw(vec![]),
        Reply::silence(),
        Reply::status(502),
        Reply::status(503),
        Reply::status(504),
        Reply::status(429).with_header("retry-after", "0"),
    ];
    for reply in passing {
        let upstream = failing(2, reply).await;
        let policy = policy_of(&upstream, "retries = 2\ntimeout_ms = 300");

        let answer = get(&Ground::new().await.instance(), &policy, "/").await;

        assert_eq!(answer.unwrap().body, "at last");
        assert_eq!(upstream.calls(), 3);
    }
}

#[tokio::test]
async fn no_more_tries_are_made_than_the_policy_says() {
    for retries in [0, 1, 5] {
        let upstream = failing(100, Reply::status(503)).await;
        let policy = policy_of(&upstream, &format!("retries = {retries}"));

        let answer = get(&Ground::new().await.instance(), &policy, "/").await;

        assert_eq!(answer.unwrap().status, 503);
        assert_eq!(upstream.calls(), retries + 1);
    }
}

#[tokio::test]
async fn what_is_about_the_request_is_not_tried_again() {
    for status in [400, 404, 408, 409, 429, 500, 501, 505] {
        let upstream = failing(1, Reply::status(status)).await;
        let policy = policy_of(&upstream, "retries = 2");

        let answer = get(&Ground::new().await.instance(), &policy, "/").await;

        assert_eq!(answer.unwrap().status, status);
        assert_eq!(upstream.calls(), 1, "{status}");
    }
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_never_sent_twice() {
    for (method, tries) in [
        (Method::POST, 1),
        (Method::PATCH, 1),
        (Method::GET, 3),
        (Method::HEAD, 3),
        (Method::PUT, 3),
        (Method::DELETE, 3),
    ] {
        for reply in [Reply::reset(), Reply::status(503)] {
            let upstream = failing(100, reply).await;
            let policy = policy_of(&upstream, "retries = 2");
            let upstreams = Ground::new().await.instance();

            let request = to(&policy, method.clone(), "/");
            let called = upstreams.call(NAME, &policy, request, Instant::now() + PLENTY);
            let _ = called.await;

            assert_eq!(upstream.calls(), tries, "{method}");
        }
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_if_there_is_time() {
    let reply = Reply::status(503).with_header("retry-after", "1");
    let upstream = failing(1, reply.clone()).await;
    let policy = policy_of(&upstream, "retries = 2");

    let began = Instant::now();
    let answer = get(&Ground::new().await.instance(), &policy, "/").await;

    assert_eq!(answer.unwrap().body, "at last");
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn nobody_waits_for_a_retry_that_would_come_too_late() {
    let upstream = failing(1, Reply::status(503).with_header("retry-after", "10")).await;
    let policy = policy_of(&upstream, "retries = 2");
    let upstreams = Ground::new().await.instance();

    let began = Instant::now();
    let request = to(&policy, Method::GET, "/");
    let deadline = began + Duration::from_secs(8);
    let answer = upstreams.call(NAME, &policy, request, deadline).await;

    assert_eq!(answer.unwrap().status, 503);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(upstream.calls(), 1);
}
