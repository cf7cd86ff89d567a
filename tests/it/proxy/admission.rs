//! Who is let in, what that counts, and what is refused after it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{Proxied, is_hit, said};
use crate::support::{TestUpstream, until};

#[tokio::test]
async fn nobody_without_a_credential_learns_what_there_is() {
    let proxied = Proxied::answering(said("max-age=60")).await;
    let paths = [
        "library/books",
        "nowhere/books",
        "library/%2e%2e/x",
        "library",
        "nowhere/",
    ];

    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::PUT] {
            let call = proxied
                .stack
                .call(method.clone(), &format!("/api/v1/proxy/{path}"));
            let answer = call.send().await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert!(!answer.headers.contains_key("allow"));
        }
    }
    assert_eq!(proxied.calls(), 0);
}

#[tokio::test]
async fn what_the_policy_does_not_offer_is_refused() {
    let upstream = TestUpstream::answering(said("max-age=60")).await;
    let base = &upstream.base;
    let policy = upstream.policy(
        "library",
        &format!(
            "proxy = true\nmethods = [\"GET\", \"PUT\"]\n\
             [upstreams.hidden]\nbase_url = \"{base}\"\n\
             [upstreams.dear]\nbase_url = \"{base}\"\nproxy = true\n\
             requires_feature = \"ai_summarization\"\n"
        ),
    );
    let proxied = Proxied::with_policy(upstream, &policy).await;
    let at = |method: Method, path: &str| {
        let path = format!("/api/v1/proxy/{path}");
        proxied
            .stack
            .call(method, &path)
            .bearer(&proxied.user.access_token)
    };

    let unknown = at(Method::GET, "nowhere/books").send().await;
    let hidden = at(Method::GET, "hidden/books").send().await;
    let dear = at(Method::GET, "dear/books").send().await;
    let post = at(Method::POST, "library/books").send().await;
    let head = at(Method::HEAD, "library/books").send().await;
    let options = at(Method::OPTIONS, "library/books").send().await;

    unknown.assert_problem(404, "unknown-upstream");
    hidden.assert_problem(404, "unknown-upstream");
    dear.assert_problem(403, "feature-not-in-tier");
    post.assert_problem(405, "method-not-allowed");
    assert_eq!(post.header("allow"), "GET, PUT");
    assert_eq!((head.status, head.header("allow")), (405, "GET, PUT"));
    options.assert_problem(405, "method-not-allowed");
    assert_eq!(proxied.calls(), 0);
}

#[tokio::test]
async fn a_request_counts_its_upstreams_price_in_its_class_and_a_hit_less() {
    let fields = "class = \"models\"\ncost = 5\nhit_cost = 1\n\
        [classes.models]\nlimits = [\"12/minute\"]\n";
    let proxied = Proxied::start(said("max-age=600"), fields).await;
    let remaining = async |path: &str| {
        let answer = proxied.get(path).send().await;
        let limits = answer.header("ratelimit").to_owned();
        let own = limits
            .split(", ")
            .find(|limit| limit.starts_with("\"models\""));
        let own = own
            .unwrap_or_else(|| panic!("{}: {limits}", answer.status))
            .to_owned();
        own.split(';')
            .find_map(|it| it.strip_prefix("r="))
            .unwrap()
            .to_owned()
    };

    let fetched = remaining("/books").await;
    let hit = remaining("/books").await;
    let refused = remaining("/books//1").await;
    let fetched_again = remaining("/films").await;
    let over = proxied.get("/games").send().await;

    // The upstream was not asked, so a refusal counts as a hit does.
    assert_eq!([fetched, hit, refused], ["7", "6", "5"]);
    assert_eq!(fetched_again, "0");
    assert_eq!((over.status, over.code()), (429, "quota-exceeded"));
    assert_eq!(over.body["violated-policies"], json!(["models"]));
    assert_eq!(proxied.calls(), 2);
}

#[tokio::test]
async fn what_is_refused_before_the_upstream_is_asked_counts_as_a_hit() {
    let fields = "class = \"models\"\ncost = 5\nhit_cost = 1\nmethods = [\"GET\", \"POST\"]\n\
        [classes.models]\nlimits = [\"12/minute\"]\n";
    let proxied = Proxied::start(said("max-age=600"), fields).await;
    let only_cached = proxied
        .get("/books")
        .header("cache-control", "only-if-cached");
    let too_large = proxied.call(reqwest::Method::POST, "/books");
    let too_large = too_large.body("x".repeat(1024 * 1024 + 1));

    let not_cached = only_cached.send().await;
    let refused = too_large.send().await;

    not_cached.assert_problem(504, "not-cached");
    refused.assert_problem(413, "payload-too-large");
    assert!(not_cached.header("ratelimit").contains("\"models\";r=11"));
    assert!(refused.header("ratelimit").contains("\"models\";r=10"));
    assert_eq!(proxied.calls(), 0);
}

#[tokio::test]
async fn the_limits_of_a_request_are_explained_by_the_class_of_its_upstream() {
    let fields = "class = \"models\"\n[classes.models]\nlimits = [\"12/minute\"]\n";
    let proxied = Proxied::start(said("max-age=600"), fields).await;

    for (upstream, expected) in [("library", "models"), ("nowhere", "query")] {
        let path = format!("/api/v1/proxy/{upstream}/books");
        let path = format!("/api/v1/users/limits/explain?method=GET&path={path}");
        let call = proxied.stack.get(&path).bearer(&proxied.user.access_token);
        let answer = call.send().await;
        let checks = answer.body["checks"].as_array().unwrap().clone();
        let named = |name: &str| checks.iter().any(|check| check["name"] == name);
        assert!(named(expected), "{upstream}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_request_is_recorded_under_the_path_that_is_described_and_not_in_the_history() {
    let proxied = Proxied::answering(said("max-age=60")).await;
    for path in ["", "/", "/books", "/books/1?x"] {
        proxied.get(path).send().await;
    }

    let usage = async || {
        let call = proxied.stack.get("/api/v1/users/usage");
        let answer = call.bearer(&proxied.user.access_token).send().await;
        let rows = answer.body["by_endpoint"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        rows.into_iter()
            .find(|row| row["path"] == "/api/v1/proxy/{upstream}/{path}")
    };
    until(async || {
        Box::pin(proxied.stack.stack.settle()).await.unwrap();
        let row = usage().await;
        let is_whole = row.as_ref().is_some_and(|row| row["count"] == 4);
        is_whole.then_some(()).ok_or(format!("{row:?}"))
    })
    .await;
    let history = proxied.stack.get("/api/v1/history/queries");
    let history = history.bearer(&proxied.user.access_token).send().await;

    assert_eq!(history.body["items"], json!([]));
}

#[tokio::test]
async fn a_revoked_key_is_refused_what_the_cache_has() {
    let proxied = Proxied::answering(said("max-age=6000")).await;
    proxied.get("/books").send().await;
    assert!(is_hit(&proxied.get("/books").send().await));

    proxied.stack.deactivate(&proxied.user.id).await;
    proxied.stack.pass(Duration::from_secs(31));
    let answer = proxied.get("/books").send().await;

    answer.assert_problem(401, "unauthenticated");
}
