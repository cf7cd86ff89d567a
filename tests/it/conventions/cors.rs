//! CORS: configured origins, and nobody else.

use reqwest::Method;

use crate::support::{Answer, TestStack};

async fn stack() -> TestStack {
    TestStack::start_with(|env| {
        env.with(
            "TURNPIKE_CORS_ORIGINS",
            "https://app.example.com, http://localhost:5173",
        )
        .with("TURNPIKE_CORS_ALLOW_CREDENTIALS", "true")
    })
    .await
}

async fn preflight(stack: &TestStack, origin: &str) -> Answer {
    stack
        .call(Method::OPTIONS, "/api/v1/auth/me")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
}

#[tokio::test]
async fn a_page_of_a_configured_origin_may_call() {
    let stack = stack().await;

    for origin in ["https://app.example.com", "http://localhost:5173"] {
        let preflight = preflight(&stack, origin).await;
        let call = stack
            .get("/api/v1/auth/me")
            .header("origin", origin)
            .send()
            .await;

        assert!(matches!(preflight.status, 200 | 204));
        for answer in [&preflight, &call] {
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert_eq!(answer.header("access-control-allow-credentials"), "true");
            assert!(answer.header("vary").to_lowercase().contains("origin"));
        }
        assert!(
            preflight
                .header("access-control-allow-headers")
                .contains("authorization")
        );
        assert!(
            preflight
                .header("access-control-allow-methods")
                .contains("DELETE")
        );
        assert!(
            call.header("access-control-expose-headers")
                .contains("x-request-id")
        );
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_not() {
    let stack = stack().await;

    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "null",
        "http://app.example.com",
    ] {
        let preflight = preflight(&stack, origin).await;
        let call = stack
            .get("/api/v1/auth/me")
            .header("origin", origin)
            .send()
            .await;

        assert_eq!(preflight.header("access-control-allow-origin"), "");
        assert_eq!(call.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn without_configured_origins_no_page_may_call() {
    let stack = TestStack::start().await;

    let preflight = preflight(&stack, "https://app.example.com").await;

    assert_eq!(preflight.header("access-control-allow-origin"), "");
    preflight.assert_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn options_without_a_preflight_is_a_method_like_any_other() {
    let stack = stack().await;

    let route = stack
        .call(Method::OPTIONS, "/api/v1/auth/login")
        .send()
        .await;
    let nowhere = stack.call(Method::OPTIONS, "/nowhere").send().await;

    route.assert_problem(405, "method-not-allowed");
    assert_eq!(route.header("allow"), "POST");
    nowhere.assert_problem(404, "not-found");
}
