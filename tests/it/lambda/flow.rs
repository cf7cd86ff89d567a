//! The sign-in flow, through the binary that is deployed.

use serde_json::json;

use super::Emulator;
use crate::support::{PASSWORD, TestStack, signing_keys};

const NEW: &str = "quartz-lantern-orchid-3";

#[tokio::test]
async fn an_account_is_made_verified_used_and_its_password_reset() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});

    let registered = auth
        .call("POST", "/api/v1/auth/register", None, Some(&credentials))
        .await;
    assert_eq!(registered.status, 201, "{}", registered.raw);
    let token = registered.body["tokens"]["access_token"]
        .as_str()
        .unwrap()
        .to_owned();

    let body = json!({"token": stack.mailed_token("ada@example.com").await});
    let verified = auth
        .call(
            "POST",
            "/api/v1/auth/verify-email",
            Some(&token),
            Some(&body),
        )
        .await;
    assert_eq!(verified.status, 204, "{}", verified.raw);
    let me = auth
        .call("GET", "/api/v1/auth/me", Some(&token), None)
        .await;
    assert_eq!(
        (me.status, &me.body["user"]["is_verified"]),
        (200, &json!(true))
    );

    let body = json!({"refresh_token": registered.body["tokens"]["refresh_token"]});
    let refreshed = auth
        .call("POST", "/api/v1/auth/refresh", None, Some(&body))
        .await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.raw);

    let sessions = auth
        .call("GET", "/api/v1/auth/sessions?limit=1", Some(&token), None)
        .await;
    assert_eq!(sessions.body["items"][0]["ip"], "203.0.113.7");
    assert_eq!(sessions.body["items"][0]["user_agent"], "emulated/1.0");

    let signed_out = auth
        .call("POST", "/api/v1/auth/logout", Some(&token), None)
        .await;
    assert_eq!(signed_out.status, 204);
    let me = auth
        .call("GET", "/api/v1/auth/me", Some(&token), None)
        .await;
    assert_eq!(
        (me.status, &me.body["code"]),
        (401, &json!("unauthenticated"))
    );

    let body = json!({"email": "ada@example.com"});
    assert_eq!(
        auth.call("POST", "/api/v1/auth/password/reset", None, Some(&body))
            .await
            .status,
        202
    );
    let body = json!({"token": stack.mailed_token("ada@example.com").await, "new_password": NEW});
    let reset = auth
        .call(
            "POST",
            "/api/v1/auth/password/reset/confirm",
            None,
            Some(&body),
        )
        .await;
    assert_eq!(reset.status, 204, "{}", reset.raw);
    for (password, status) in [(PASSWORD, 401), (NEW, 200)] {
        let body = json!({"email": "ada@example.com", "password": password});
        assert_eq!(
            auth.call("POST", "/api/v1/auth/login", None, Some(&body))
                .await
                .status,
            status
        );
    }
}

#[tokio::test]
async fn the_system_function_answers_for_every_path_that_is_nobody_elses() {
    let stack = TestStack::start().await;
    let system = Emulator::start("system", &stack).await;

    let health = system.call("GET", "/health", None, None).await;
    let docs = system.call("GET", "/docs", None, None).await;
    let nowhere = system.call("GET", "/api/v1/nowhere", None, None).await;

    assert_eq!(
        (health.status, &health.body["status"]),
        (200, &json!("healthy")),
        "{}",
        health.raw
    );
    assert!(
        health.body["details"].is_null(),
        "closed without METRICS_TOKEN"
    );
    assert_eq!(docs.status, 200);
    assert!(
        docs.raw["body"]
            .as_str()
            .unwrap()
            .contains("/api/v1/auth/login")
    );
    assert_eq!(
        (nowhere.status, &nowhere.body["code"]),
        (404, &json!("not-found"))
    );
}

#[tokio::test]
async fn a_function_that_is_misconfigured_does_not_serve() {
    let stack = TestStack::start().await;
    let another_stages =
        signing_keys().replacen('{', "{\"issuer\":\"https://api.example.com\",", 1);
    let cases = [
        ("TURNPIKE_SIGNING_KEYS", another_stages.as_str()),
        ("TURNPIKE_LOG", "nonsense=nonsense"),
        ("TURNPIKE_ENVIRONMENT", "production"),
        ("TURNPIKE_SIGNING_KEYS", "{}"),
        ("TURNPIKE_AUTH_SECRET", "short"),
    ];

    for variable in cases {
        let auth = Emulator::start_with("auth", &stack, &[variable]).await;
        let answer = auth
            .invoke(&super::emulator::event("GET", "/.well-known/jwks.json"))
            .await;
        assert_ne!(answer["statusCode"], 200, "{variable:?}: {answer}");
    }
}
