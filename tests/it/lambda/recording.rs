//! Records in the binaries that are deployed: written by an extension after the answers.
//!
//! The emulator hands an answer on only when the extension is done, which Lambda does not; that the
//! answer goes first is seen at the runtime API itself, in `runtime_api.rs`.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use serde_json::json;

use super::Emulator;
use crate::recording::records;
use crate::support::{PASSWORD, TestStack, until};

const ME: &str = "/api/v1/auth/me";
/// For what happens by itself within a second or two.
const PATIENCE: Duration = Duration::from_secs(20);

async fn register(auth: &Emulator) -> String {
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let path = "/api/v1/auth/register";
    let registered = auth.call("POST", path, None, Some(&body)).await;
    assert_eq!(registered.status, 201, "{}", registered.raw);
    let token = &registered.body["tokens"]["access_token"];
    token.as_str().unwrap().to_owned()
}

async fn ask(auth: &Emulator, token: &str) {
    let me = auth.call("GET", ME, Some(token), None).await;
    assert_eq!(me.status, 200, "{}", me.raw);
}

async fn recorded(client: &Client) -> usize {
    records(client).await.len()
}

#[tokio::test]
async fn an_instance_writes_at_25_records_and_when_one_has_waited_for_a_second() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let client = stack.dynamodb().await;
    let begun = Instant::now();
    let token = register(&auth).await;
    for _ in 1..25 {
        ask(&auth, &token).await;
    }

    let after_25 = recorded(&client).await;
    let mut asked = 25;
    // Slow enough for a second to pass before as many again have come.
    let mut pace = tokio::time::interval(Duration::from_millis(150));
    while recorded(&client).await == after_25 && begun.elapsed() < PATIENCE {
        pace.tick().await;
        ask(&auth, &token).await;
        asked += 1;
    }

    assert_eq!(after_25, 25);
    assert_eq!(recorded(&client).await, asked);
    assert!(asked < 50, "{asked}");
}

#[tokio::test]
async fn an_instance_writes_what_it_holds_when_lambda_ends_it() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let client = stack.dynamodb().await;
    let token = register(&auth).await;
    for _ in 0..3 {
        ask(&auth, &token).await;
    }

    auth.terminate();

    until(async || match recorded(&client).await {
        4 => Ok(()),
        other => Err(format!("{other} records")),
    })
    .await;
}
