//! One bootstrap under `aws-lambda-rie`: started, invoked one event at a time, and ended.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::support::{TestStack, signing_keys};

/// What a path of the tests' own tools says, as `make test-lambda` sets it.
pub(super) fn tool(variable: &str) -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner's own setting, not the program's"
    )]
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set; run `make test-lambda`")))
}

/// Whose requests these are, unless a test says otherwise.
const USUAL_IP: &str = "203.0.113.7";

/// A function in its emulator. The emulator takes one invocation at a time, as an instance does.
pub(super) struct Emulator {
    invoke_url: String,
    client: reqwest::Client,
    turn: Mutex<()>,
    process: Child,
}

/// What a function answered to an event of API Gateway.
pub(super) struct Invocation {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Value,
    /// The answer as the function gave it.
    pub(super) raw: Value,
}

impl Emulator {
    /// Starts `function` on the engine of `stack`, so that the stack's mailbox serves it too.
    pub(super) async fn start(function: &str, stack: &TestStack) -> Self {
        Self::start_with(function, stack, &[]).await
    }

    pub(super) async fn start_with(
        function: &str,
        stack: &TestStack,
        variables: &[(&str, &str)],
    ) -> Self {
        let bootstrap = tool("TURNPIKE_BOOTSTRAPS").join(function).join("bootstrap");
        assert!(
            bootstrap.is_file(),
            "{} is built by `make test-lambda`",
            bootstrap.display()
        );
        let (invoke, runtime) = (free_port(), free_port());
        let engine = stack.engine_endpoint().await;
        let process = Command::new(tool("TURNPIKE_RIE"))
            .args([
                "--runtime-interface-emulator-address",
                &format!("127.0.0.1:{invoke}"),
            ])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime}")])
            .args(["--log-level", "error"])
            .arg(bootstrap)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", function),
                ("AWS_LAMBDA_FUNCTION_TIMEOUT", "10"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL_DYNAMODB", engine),
                ("TURNPIKE_ENVIRONMENT", "testing"),
                ("TURNPIKE_ISSUER", "http://127.0.0.1:3000"),
                ("TURNPIKE_IDENTITY_TABLE", "IdentityTable"),
                ("TURNPIKE_ADMISSION_TABLE", "AdmissionTable"),
                ("TURNPIKE_USAGE_TABLE", "UsageTable"),
            ])
            .envs(own_variables(function))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator starts");
        listening(invoke).await;
        Self {
            invoke_url: format!(
                "http://127.0.0.1:{invoke}/2015-03-31/functions/function/invocations"
            ),
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            turn: Mutex::new(()),
            process,
        }
    }

    /// Tells the function's process that it is to end, as Lambda does 500 ms before it kills it. The
    /// emulator itself ends it without a word.
    pub(super) fn terminate(&self) {
        let emulator = self.process.id().expect("it runs");
        let threads = std::fs::read_dir(format!("/proc/{emulator}/task")).expect("it runs");
        let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
            let children = thread.expect("it is listed").path().join("children");
            std::fs::read_to_string(children).unwrap_or_default()
        };
        let children: String = threads.map(of_thread).collect();
        for child in children.split_whitespace() {
            let kill = std::process::Command::new("kill")
                .args(["-TERM", child])
                .status();
            assert!(kill.expect("there is kill").success());
        }
    }

    /// Hands an event to the function and returns what it answered, whatever that is.
    pub(super) async fn invoke(&self, event: &Value) -> Value {
        let _turn = self.turn.lock().await;
        let response = self.client.post(&self.invoke_url).json(event).send().await;
        let text = response
            .expect("the emulator answers")
            .text()
            .await
            .expect("to the end");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// Hands an event to the function and reads its answer as API Gateway would.
    pub(super) async fn answer(&self, event: &Value) -> Invocation {
        let raw = self.invoke(event).await;
        let status = raw["statusCode"]
            .as_u64()
            .unwrap_or_else(|| panic!("no status: {raw}"));
        let headers = raw["headers"].as_object().cloned().unwrap_or_default();
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
        let text = raw["body"].as_str().unwrap_or_default();
        let bytes = if raw["isBase64Encoded"] == true {
            STANDARD.decode(text).expect("a base64 body")
        } else {
            text.as_bytes().to_vec()
        };
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Invocation {
            status: u16::try_from(status).expect("a status"),
            headers,
            body,
            raw,
        }
    }

    /// Sends JSON, with a bearer token if there is one.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Invocation {
        self.call_from(USUAL_IP, method, path, token, body).await
    }

    /// Sends JSON from an address, as API Gateway saw it.
    pub(super) async fn call_from(
        &self,
        ip: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Invocation {
        let mut event = event(method, path);
        event["requestContext"]["http"]["sourceIp"] = json!(ip);
        if let Some(token) = token {
            event["headers"]["authorization"] = json!(format!("Bearer {token}"));
        }
        if let Some(body) = body {
            event["headers"]["content-type"] = json!("application/json");
            event["body"] = json!(body.to_string());
        }
        self.answer(&event).await
    }
}

/// What the template gives to one function and not to the others.
pub(super) fn own_variables(function: &str) -> Vec<(&'static str, &'static str)> {
    match function {
        "auth" => vec![
            ("TURNPIKE_CREDENTIALS_TABLE", "CredentialsTable"),
            ("TURNPIKE_SIGNING_KEYS", signing_keys()),
            ("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
        ],
        // No credentials and no private keys: it verifies tokens with what `auth` has published.
        "admin" => vec![
            ("TURNPIKE_AUDIT_TABLE", "AuditTable"),
            ("TURNPIKE_AUDIT_SECRET", "0123456789abcdef0123456789abcdef"),
        ],
        "users" => vec![("TURNPIKE_CURSOR_SECRET", "fedcba9876543210fedcba9876543210")],
        "content" | "history" => vec![
            ("TURNPIKE_WORK_TABLE", "WorkTable"),
            ("TURNPIKE_CURSOR_SECRET", "fedcba9876543210fedcba9876543210"),
        ],
        _ => vec![],
    }
}

/// An event of an HTTP API, payload format 2.0, as API Gateway makes it.
pub(super) fn event(method: &str, path: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example.com", "user-agent": "emulated/1.0"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": USUAL_IP,
                "userAgent": "emulated/1.0",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "20/Nov/2026:20:00:00 +0000",
            "timeEpoch": 1_795_204_800_000_i64,
        },
        "isBase64Encoded": false,
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

async fn listening(port: u16) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        ticks.tick().await;
        if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_ok()
        {
            return;
        }
    }
    panic!("the emulator does not listen on {port}");
}
