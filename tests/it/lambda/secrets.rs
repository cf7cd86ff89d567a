//! Keys from Secrets Manager, where a deployed `auth` has them.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use turnpike_local::signing_keys_document;
use turnpike_shared::auth::Algorithm;

use super::Emulator;
use super::emulator::tool;
use crate::support::{TestStack, signing_keys};

/// A Secrets Manager of the test's own.
struct SecretsManager {
    endpoint: String,
    client: reqwest::Client,
    process: Child,
}

impl SecretsManager {
    async fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(tool("TURNPIKE_MINISTACK"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", "secretsmanager")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("ministack starts");
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let endpoint = format!("http://127.0.0.1:{port}");
        let manager = Self {
            endpoint,
            client,
            process,
        };
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..600 {
            ticks.tick().await;
            if manager.try_call("ListSecrets", &json!({})).await.is_some() {
                return manager;
            }
        }
        panic!("ministack does not answer at {}", manager.endpoint);
    }

    async fn try_call(&self, action: &str, body: &Value) -> Option<Value> {
        let request = self
            .client
            .post(&self.endpoint)
            .header("x-amz-target", format!("secretsmanager.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20261120/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
            .body(body.to_string());
        let response = request.send().await.ok()?;
        response.status().is_success().then_some(())?;
        response.json().await.ok()
    }

    /// Makes a secret and returns its ARN.
    async fn create(&self, name: &str, value: &str) -> String {
        let body = json!({"Name": name, "SecretString": value, "ClientRequestToken": format!("{name:-<32}")});
        let created = self
            .try_call("CreateSecret", &body)
            .await
            .expect("the secret is made");
        created["ARN"].as_str().unwrap().to_owned()
    }

    async fn put(&self, arn: &str, value: &str) {
        let token = format!("{:-<32}", "second");
        let body = json!({"SecretId": arn, "SecretString": value, "ClientRequestToken": token});
        self.try_call("PutSecretValue", &body)
            .await
            .expect("the secret is changed");
    }
}

/// How many keys functions find that hold none themselves.
async fn keys_for_other_functions(stack: &TestStack) -> usize {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = stack
        .dynamodb()
        .await
        .get_item()
        .table_name("IdentityTable")
        .key("pk", text("SIGNING_KEYS"))
        .key("sk", text("PUBLIC"));
    let item = item.send().await.unwrap().item.unwrap();
    let document = item["document"].as_s().unwrap();
    let set: Value = serde_json::from_str(document).unwrap();
    set["keys"].as_array().unwrap().len()
}

const AUTH_SECRET: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_bootstrap_reads_its_keys_from_secrets_manager() {
    let manager = SecretsManager::start().await;
    let keys = manager.create("keys", signing_keys()).await;
    let secret = manager.create("secret", AUTH_SECRET).await;
    let stack = TestStack::start().await;
    let auth = Emulator::start_with(
        "auth",
        &stack,
        &[
            ("TURNPIKE_SIGNING_KEYS", ""),
            ("TURNPIKE_SIGNING_KEYS_SECRET", &keys),
            ("TURNPIKE_AUTH_SECRET", ""),
            ("TURNPIKE_AUTH_SECRET_ARN", &secret),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &manager.endpoint),
        ],
    )
    .await;

    let shown = auth.call("GET", "/.well-known/jwks.json", None, None).await;

    let own = stack.get("/.well-known/jwks.json").send().await;
    assert_eq!(
        (shown.status, &shown.body),
        (200, &own.body),
        "{}",
        shown.raw
    );
}

#[tokio::test]
async fn a_rotated_key_is_published_within_ten_minutes_and_an_outage_changes_nothing() {
    let mut manager = SecretsManager::start().await;
    let keys = manager.create("keys", signing_keys()).await;
    let secret = manager.create("secret", AUTH_SECRET).await;
    let stack = TestStack::start_with(|env| {
        env.with("TURNPIKE_SIGNING_KEYS", "")
            .with("TURNPIKE_SIGNING_KEYS_SECRET", &keys)
            .with("TURNPIKE_AUTH_SECRET_ARN", &secret)
            .with("AWS_ENDPOINT_URL_SECRETS_MANAGER", &manager.endpoint)
    })
    .await;
    let published = async || {
        let set = stack.get("/.well-known/jwks.json").send().await;
        set.body["keys"].as_array().unwrap().len()
    };
    let before = stack.register("ada@example.com").await;
    let mut document: Value = serde_json::from_str(signing_keys()).unwrap();
    let new = signing_keys_document(Algorithm::RS256, None).unwrap();
    let new: Value = serde_json::from_str(secrecy::ExposeSecret::expose_secret(&new)).unwrap();
    document["keys"]
        .as_array_mut()
        .unwrap()
        .push(new["keys"][0].clone());

    manager.put(&keys, &document.to_string()).await;
    assert_eq!(published().await, 1);
    stack.pass(Duration::from_mins(10));
    assert_eq!(published().await, 2);
    assert_eq!(keys_for_other_functions(&stack).await, 2);
    assert_eq!(
        stack.me_status(&before.access_token).await,
        200,
        "signed with the old key"
    );

    manager.process.kill().await.unwrap();
    stack.pass(Duration::from_mins(10));
    assert_eq!(published().await, 2);
    assert_eq!(stack.me_status(&before.access_token).await, 200);
}
