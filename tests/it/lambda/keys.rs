//! API keys, through two binaries that share nothing but tables.

use secrecy::ExposeSecret as _;
use serde_json::json;
use turnpike_local::signing_keys_document;
use turnpike_shared::auth::Algorithm;

use super::Emulator;
use crate::support::{PASSWORD, RedisServer, TestStack};

/// Signs in at `auth`; makes, uses and revokes a key at `users`.
async fn a_key_lives_and_dies(stack: &TestStack, valkey: &str) {
    // Keys that only this `auth` has, so that `users` can know of them from the table alone.
    let signing_keys = signing_keys_document(Algorithm::ES256, None).unwrap();
    let of_auth = [
        ("TURNPIKE_SIGNING_ALGORITHM", "ES256"),
        ("TURNPIKE_SIGNING_KEYS", signing_keys.expose_secret()),
        ("TURNPIKE_VALKEY_URL", valkey),
    ];
    let auth = Emulator::start_with("auth", stack, &of_auth).await;
    let of_users = [("TURNPIKE_VALKEY_URL", valkey)];
    let users = Emulator::start_with("users", stack, &of_users).await;
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let me = "/api/v1/users/me";

    let signed_in = auth
        .call("POST", "/api/v1/auth/login", None, Some(&credentials))
        .await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.raw);
    let session = signed_in.body["tokens"]["access_token"].as_str();
    let body = json!({"name": "CI"});
    let path = "/api/v1/users/api-keys";
    let made = users.call("POST", path, session, Some(&body)).await;
    assert_eq!(made.status, 201, "{}", made.raw);
    let key = made.body["key"].as_str();

    let with_key = users.call("GET", me, key, None).await;
    assert_eq!(with_key.status, 200, "{}", with_key.raw);
    assert_eq!(with_key.body["user"]["email"], "ada@example.com");

    let id = made.body["api_key"]["id"].as_str().unwrap();
    let path = format!("/api/v1/users/api-keys/{id}");
    let revoked = users.call("DELETE", &path, session, None).await;
    assert_eq!(revoked.status, 204, "{}", revoked.raw);
    let with_key = users.call("GET", me, key, None).await;
    assert_eq!(
        (with_key.status, &with_key.body["code"]),
        (401, &json!("unauthenticated")),
        "{}",
        with_key.raw
    );
    let with_session = users.call("GET", me, session, None).await;
    assert_eq!(with_session.status, 200, "{}", with_session.raw);
}

#[tokio::test]
async fn a_key_is_made_used_and_refused_once_it_is_revoked() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;

    a_key_lives_and_dies(&stack, "").await;
}

#[tokio::test]
async fn a_key_is_made_used_and_refused_once_it_is_revoked_where_valkey_admits() {
    let redis = RedisServer::start().await;
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;

    a_key_lives_and_dies(&stack, &redis.address().url).await;
}
