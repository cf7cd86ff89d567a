//! Who is let in where: a row for every route of every function. A route without a row fails.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::TestStack;

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Open,
    Session,
}

use Access::{Open, Session};

const TABLE: &[(&str, &str, Access)] = &[
    ("GET", "/", Open),
    ("GET", "/.well-known/jwks.json", Open),
    ("GET", "/.well-known/openid-configuration", Open),
    ("GET", "/.well-known/security.txt", Open),
    ("POST", "/api/v1/auth/login", Open),
    ("POST", "/api/v1/auth/logout", Session),
    ("POST", "/api/v1/auth/logout-all", Session),
    ("GET", "/api/v1/auth/me", Session),
    ("PUT", "/api/v1/auth/password/change", Session),
    ("POST", "/api/v1/auth/password/reset", Open),
    ("POST", "/api/v1/auth/password/reset/confirm", Open),
    ("POST", "/api/v1/auth/refresh", Open),
    ("POST", "/api/v1/auth/register", Open),
    ("GET", "/api/v1/auth/sessions", Session),
    ("DELETE", "/api/v1/auth/sessions/{id}", Session),
    ("POST", "/api/v1/auth/verify-email", Session),
    ("POST", "/api/v1/auth/verify-email/request", Session),
    ("GET", "/api/v1/health", Open),
    ("GET", "/api/v1/health/live", Open),
    ("GET", "/api/v1/health/ready", Open),
    ("GET", "/docs", Open),
    ("GET", "/docs/errors", Open),
    ("GET", "/docs/errors/{code}", Open),
    ("GET", "/health", Open),
    ("GET", "/health/live", Open),
    ("GET", "/health/ready", Open),
    ("GET", "/openapi.json", Open),
];

fn described_routes() -> BTreeSet<(String, String)> {
    let document = turnpike_local::openapi::document().unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let methods_of = |(path, methods): (String, Value)| {
        let methods: Vec<String> = methods.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase(), path.clone()))
    };
    paths.into_iter().flat_map(methods_of).collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let rows: BTreeSet<(String, String)> = TABLE
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();

    assert_eq!(rows, described_routes());
}

#[test]
fn the_description_says_of_each_route_whether_it_needs_a_token() {
    let document = turnpike_local::openapi::document().unwrap();

    for (method, path, access) in TABLE {
        let operation = &document["paths"][path][method.to_lowercase()];
        let needs_token = operation["security"].as_array().is_some_and(|needs| {
            needs.iter().all(|need| need.get("access_token").is_some()) && !needs.is_empty()
        });
        assert_eq!(needs_token, *access == Session, "{method} {path}");
    }
}

#[tokio::test]
async fn a_route_that_needs_a_session_refuses_everybody_else_before_it_looks_at_the_body() {
    let stack = TestStack::start().await;
    let ended = stack.register("ended@example.com").await;
    stack
        .post("/api/v1/auth/logout")
        .bearer(&ended.access_token)
        .send()
        .await;
    let inactive = stack.register("inactive@example.com").await;
    stack.deactivate(&inactive.id).await;

    for (method, path, access) in TABLE {
        let call = || {
            stack.call(
                Method::from_bytes(method.as_bytes()).unwrap(),
                &path.replace("{id}", "ses_x"),
            )
        };
        let refusals = [
            call().raw_json("{").send().await,
            call().bearer("junk").raw_json("{").send().await,
            call()
                .bearer(&ended.access_token)
                .raw_json("{")
                .send()
                .await,
            call()
                .bearer(&inactive.access_token)
                .raw_json("{")
                .send()
                .await,
        ];
        for answer in refusals {
            match access {
                Session => answer.assert_problem(401, "unauthenticated"),
                Open => assert_ne!(answer.status, 401, "{method} {path}"),
            }
        }
    }
}

#[tokio::test]
async fn the_routes_that_are_described_are_routed() {
    let stack = TestStack::start().await;

    for (method, path, _) in TABLE {
        let path = path.replace("{id}", "ses_x").replace("{code}", "not-found");
        let answer = stack
            .call(Method::from_bytes(method.as_bytes()).unwrap(), &path)
            .send()
            .await;
        assert!(
            !matches!(answer.status, 404 | 405),
            "{method} {path}: {}",
            answer.status
        );
    }
}
