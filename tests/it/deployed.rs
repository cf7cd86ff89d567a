//! A stage that is deployed, or anything else that answers at `TURNPIKE_URL`: what can be seen of
//! the sign-in flow without its mailbox. It leaves one account behind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Call, PASSWORD};

fn url() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner's own setting, not the program's"
    )]
    let url = std::env::var("TURNPIKE_URL").expect("TURNPIKE_URL is set; see `make test-url`");
    url.trim_end_matches('/').to_owned()
}

async fn call(method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
    let mut call = Call::new(reqwest::Client::new().request(method, format!("{}{path}", url())));
    if let Some(token) = token {
        call = call.bearer(token);
    }
    if let Some(body) = body {
        call = call.json(&body);
    }
    call.send().await
}

#[tokio::test]
async fn an_account_is_made_used_refreshed_and_signed_out() {
    let id = turnpike_shared::ids::unprefixed(turnpike_shared::clock::Clock::system().now());
    let credentials = json!({"email": format!("smoke-{id}@example.com"), "password": PASSWORD});

    let registered = call(
        Method::POST,
        "/api/v1/auth/register",
        None,
        Some(credentials.clone()),
    )
    .await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let token = registered.body["tokens"]["access_token"].as_str().unwrap();
    let me = call(Method::GET, "/api/v1/auth/me", Some(token), None).await;
    assert_eq!(me.body["user"]["id"], registered.body["user"]["id"]);

    let body = json!({"refresh_token": registered.body["tokens"]["refresh_token"]});
    let refreshed = call(Method::POST, "/api/v1/auth/refresh", None, Some(body)).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    let login = call(Method::POST, "/api/v1/auth/login", None, Some(credentials)).await;
    assert_eq!(login.status, 200, "{}", login.text);

    let out = call(Method::POST, "/api/v1/auth/logout-all", Some(token), None).await;
    assert_eq!(out.status, 204);
    let me = call(Method::GET, "/api/v1/auth/me", Some(token), None).await;
    me.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn it_is_ready_and_its_issuer_is_its_address() {
    let ready = call(Method::GET, "/health/ready", None, None).await;
    let issuer = call(Method::GET, "/.well-known/openid-configuration", None, None).await;

    assert_eq!(ready.status, 200, "{}", ready.text);
    assert_eq!(issuer.body["issuer"], url());
}
