//! Redirects: followed within the upstream's own base, a few times, for reading; failures otherwise.

use reqwest::Method;
use tokio::time::Instant;
use turnpike_shared::upstreams::UpstreamError;

use super::{Ground, NAME, PLENTY, get, policy_of, to, upstream_at};
use crate::support::{Received, Reply, TestUpstream};

fn redirect(status: u16, location: &str) -> Reply {
    Reply::status(status).with_header("location", location)
}

/// Redirects `/base/from` to `location`, and answers anything else with where it was asked.
async fn redirecting(status: u16, location: &str) -> TestUpstream {
    let upstream = TestUpstream::answering(Reply::text("")).await;
    let location = location.replace("{base}", &upstream.base);
    upstream.behave(move |request: &Received| match request.target.as_str() {
        "/base/from" => redirect(status, &location),
        other => Reply::text(other),
    });
    upstream
}

#[tokio::test]
async fn a_redirect_within_the_base_is_followed() {
    let cases = [
        ("{base}/base/to", "/base/to"),
        ("/base/to?a=b", "/base/to?a=b"),
        ("/base/to#fragment", "/base/to"),
        ("to", "/base/to"),
        ("to/", "/base/to/"),
        ("?a=b", "/base/from?a=b"),
    ];
    for (location, expected) in cases {
        for status in [301, 302, 303, 307, 308] {
            let upstream = redirecting(status, location).await;
            let policy = upstream_at(&format!("{}/base", upstream.base), "");

            let answer = get(&Ground::new().await.instance(), &policy, "from").await;

            assert_eq!(answer.unwrap().body, expected, "{status} {location}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_anywhere_else_is_a_failure_and_is_not_followed() {
    let elsewhere = TestUpstream::answering(Reply::text("elsewhere")).await;
    let port = elsewhere.base.rsplit(':').next().unwrap();
    let locations = [
        elsewhere.base.clone(),
        format!("//127.0.0.1:{port}/base/to"),
        format!("http://localhost:{port}/base/to"),
        format!("http://user@127.0.0.1:{port}/base/to"),
        "https://127.0.0.1/base/to".into(),
        "http://127.0.0.1/base/to".into(),
        "http:127.0.0.1/base/to".into(),
        "file:///etc/passwd".into(),
        "javascript:alert(1)//base".into(),
        "/".into(),
        "/other".into(),
        "/basement".into(),
        "/base/../other".into(),
        "/base/%2e%2e/other".into(),
        "../other".into(),
        "/base//to".into(),
        "/base\\..\\other".into(),
        "\\\\evil.example\\base".into(),
        "///evil.example/base".into(),
        "/base/to caf\u{e9}".into(),
        "/base/secret".into(),
    ];
    for location in locations {
        let upstream = redirecting(302, &location).await;
        let fields = "paths = [\"/from\", \"/to\"]\nretries = 2";
        let policy = upstream_at(&format!("{}/base", upstream.base), fields);

        let failed = get(&Ground::new().await.instance(), &policy, "from").await;

        assert!(
            matches!(failed, Err(UpstreamError::Failed(_))),
            "{location} {failed:?}"
        );
        assert_eq!((upstream.calls(), elsewhere.calls()), (1, 0), "{location}");
    }
}

#[tokio::test]
async fn redirects_that_do_not_end_are_followed_three_times() {
    let upstream = TestUpstream::answering(redirect(302, "/again")).await;
    let policy = policy_of(&upstream, "retries = 2");

    let failed = get(&Ground::new().await.instance(), &policy, "/").await;

    assert!(
        matches!(failed, Err(UpstreamError::Failed(_))),
        "{failed:?}"
    );
    assert_eq!(upstream.calls(), 4);
}

#[tokio::test]
async fn what_changes_something_is_not_sent_again_elsewhere() {
    let upstream = redirecting(307, "/base/to").await;
    let policy = upstream_at(&format!("{}/base", upstream.base), "");
    let upstreams = Ground::new().await.instance();

    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = to(&policy, method, "from");
        let failed = upstreams.call(NAME, &policy, request, Instant::now() + PLENTY);
        let failed = failed.await;
        assert!(
            matches!(failed, Err(UpstreamError::Failed(_))),
            "{failed:?}"
        );
    }

    assert_eq!(upstream.calls(), 3);
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_and_what_is_no_redirect_are_answers() {
    for reply in [
        Reply::status(302),
        redirect(304, "/to"),
        redirect(300, "/to"),
        redirect(201, "/to"),
    ] {
        let upstream = TestUpstream::answering(reply).await;
        let policy = policy_of(&upstream, "");

        let answer = get(&Ground::new().await.instance(), &policy, "/")
            .await
            .unwrap();

        assert!(!answer.headers.contains_key("location"));
        assert_eq!(upstream.calls(), 1);
    }
}
