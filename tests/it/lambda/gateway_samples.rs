//! API Gateway's events as AWS's own tool writes them.

use serde_json::{Value, json};
use tokio::process::Command;

use super::Emulator;
use super::emulator::tool;
use crate::support::{PASSWORD, TestStack};

async fn sample(method: &str, path: &str, body: &str) -> Value {
    let output = Command::new(tool("TURNPIKE_SAM"))
        .args(["local", "generate-event", "apigateway", "http-api-proxy"])
        .args(["--method", method, "--path", path, "--body", body])
        .env("SAM_CLI_TELEMETRY", "0")
        .output()
        .await
        .expect("sam runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("sam prints an event")
}

#[tokio::test]
async fn sams_sample_events_are_served() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let mut register = sample("POST", "api/v1/auth/register", &body).await;
    register["headers"]["content-type"] = json!("application/json");
    for path in ["/rawPath", "/requestContext/http/path"] {
        if let Some(value) = register.pointer_mut(path) {
            *value = json!("/api/v1/auth/register");
        }
    }

    let registered = auth.answer(&register).await;

    assert_eq!(register["isBase64Encoded"], true, "sam encodes the body");
    assert!(register["cookies"].is_array(), "and sends cookies");
    assert_eq!(registered.status, 201, "{}", registered.raw);
    assert_eq!(registered.body["user"]["email"], "ada@example.com");
}
