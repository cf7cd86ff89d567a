//! Paths and methods that do not exist.

use reqwest::Method;

use crate::support::TestStack;

#[tokio::test]
async fn an_unknown_path_is_404_before_any_credential_is_looked_at() {
    let stack = TestStack::start().await;
    let paths = [
        "/nowhere",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/auth",
        "/api/v1/auth/",
        "/api/v1/auth/login/",
        "/api/v1/auth//login",
        "/api/v1/authentic",
        "/api/v2/auth/me",
        "/.well-known/nothing",
        "/_local/nothing",
        "/api/v1/users",
        "/api/v1/users/nothing",
        "/api/v1/admin/nothing",
        "/API/V1/AUTH/ME",
        "/%2e%2e/etc/passwd",
        "/docs/errors/nothing",
        "/metrics",
        "/2015-03-31/functions/auth/nothing",
    ];

    for path in paths {
        let answer = stack
            .get(path)
            .header("authorization", "Bearer junk")
            .send()
            .await;
        answer.assert_problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_with_those_that_it_has() {
    let stack = TestStack::start().await;
    let cases = [
        (Method::GET, "/api/v1/auth/register", "POST"),
        (Method::DELETE, "/api/v1/auth/me", "GET,HEAD"),
        (Method::POST, "/api/v1/auth/password/change", "PUT"),
        (Method::GET, "/api/v1/auth/sessions/ses_x", "DELETE"),
        (Method::POST, "/", "GET,HEAD"),
        (Method::PUT, "/.well-known/jwks.json", "GET,HEAD"),
    ];

    for (method, path, allowed) in cases {
        let answer = stack.call(method, path).send().await;
        answer.assert_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let stack = TestStack::start().await;

    let answer = stack
        .call(Method::HEAD, "/.well-known/jwks.json")
        .send()
        .await;

    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), "application/json");
}
