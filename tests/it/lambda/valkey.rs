//! The binaries with a real Valkey.

use serde_json::json;

use super::Emulator;
use crate::support::{PASSWORD, RedisServer, TestStack};

#[tokio::test]
async fn a_session_that_was_ended_is_refused_at_once_where_valkey_admits() {
    let redis = RedisServer::start().await;
    let stack = TestStack::start().await;
    let url = redis.address().url;
    let auth = Emulator::start_with("auth", &stack, &[("TURNPIKE_VALKEY_URL", &url)]).await;
    stack.register("ada@example.com").await;
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});

    let signed_in = auth
        .call("POST", "/api/v1/auth/login", None, Some(&credentials))
        .await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.raw);
    let token = signed_in.body["tokens"]["access_token"].as_str().unwrap();
    let me = async || auth.call("GET", "/api/v1/auth/me", Some(token), None).await;
    let before = me().await;
    let mut valkey = redis.connection().await;
    let mut keys = redis::cmd("KEYS");
    keys.arg("tp:*");
    let counted: Vec<String> = keys.query_async(&mut valkey).await.unwrap();
    let logout = auth
        .call("POST", "/api/v1/auth/logout", Some(token), None)
        .await;
    let after = me().await;

    assert_eq!(before.status, 200, "{}", before.raw);
    let id = before.body["user"]["id"].as_str().unwrap();
    assert!(
        counted.iter().any(|key| key.contains(id)),
        "Valkey has counted {id}: {counted:?}"
    );
    assert_eq!(logout.status, 204, "{}", logout.raw);
    assert_eq!(
        (after.status, &after.body["code"]),
        (401, &json!("unauthenticated")),
        "{}",
        after.raw
    );
}

#[tokio::test]
async fn the_system_function_says_whether_valkey_is_there() {
    let mut redis = RedisServer::start().await;
    let stack = TestStack::start().await;
    let url = redis.address().url;
    let variables = [("TURNPIKE_VALKEY_URL", url.as_str())];
    let asks_a_server = Emulator::start_with("system", &stack, &variables).await;
    let asks_nobody = Emulator::start_with("system", &stack, &variables).await;
    let status = async |system: &Emulator| {
        let health = system.call("GET", "/health", None, None).await;
        health.body["services"]["valkey"]["status"].clone()
    };

    let up = status(&asks_a_server).await;
    redis.kill().await;
    let down = status(&asks_nobody).await;

    assert_eq!((up, down), (json!("up"), json!("down")));
}
