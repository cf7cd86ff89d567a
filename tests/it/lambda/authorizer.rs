//! The authorizer, through the binary that is deployed, with an event of AWS's own tool.

use serde_json::{Value, json};
use tokio::process::Command;

use super::Emulator;
use super::emulator::tool;
use crate::support::{TestStack, until};

/// The event of a REST API, as SAM writes it.
async fn sample() -> Value {
    let output = Command::new(tool("TURNPIKE_SAM"))
        .args([
            "local",
            "generate-event",
            "apigateway",
            "request-authorizer",
        ])
        .env("SAM_CLI_TELEMETRY", "0")
        .output()
        .await
        .expect("sam runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).expect("sam prints an event")
}

#[tokio::test]
async fn sams_sample_of_a_request_is_admitted_with_a_key_and_recorded() {
    let stack =
        TestStack::start_with(|env| env.with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")).await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    stack.stack.recorder.flush().await;
    let variables = [("TURNPIKE_AUTHORIZER_RESPONSE", "iam")];
    let authorizer = Emulator::start_with("authorizer", &stack, &variables).await;
    let without = sample().await;
    let mut with_key = without.clone();
    with_key["headers"]["X-API-Key"] = json!(key.secret);
    let mut with_token = without.clone();
    with_token["headers"]["Authorization"] = json!(format!("Bearer {}", ada.access_token));

    let denied = authorizer.invoke(&without).await;
    let by_key = authorizer.invoke(&with_key).await;
    let by_token = authorizer.invoke(&with_token).await;
    authorizer.terminate();

    let effect = |answer: &Value| answer["policyDocument"]["Statement"][0]["Effect"].clone();
    assert_eq!(effect(&denied), "Deny", "{denied}");
    for allowed in [&by_key, &by_token] {
        assert_eq!(effect(allowed), "Allow", "{allowed}");
        assert_eq!(allowed["principalId"], json!(ada.id));
        let resource = &allowed["policyDocument"]["Statement"][0]["Resource"];
        assert_eq!(resource, &without["methodArn"]);
    }
    let client = stack.dynamodb().await;
    until(async || {
        let records = crate::recording::records(&client).await;
        let is_of_route = |path: &str| without["resource"] == *path;
        let of_route = records.iter().filter(|record| is_of_route(&record.path));
        match of_route.count() {
            0 | 1 => Err(format!("{records:?}")),
            _ => Ok(()),
        }
    })
    .await;
}
