//! `Idempotency-Key`: a request that is sent twice takes effect once and is answered alike,
//! whatever happens in between.

mod crashes;
mod repetitions;
mod secrets;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnpike_local::{Engine, Options};

use crate::support::{Account, Answer, Call, FaultProxy, KEYS, OwnEngine, TestStack, client_at};

const REGISTER: &str = "/api/v1/auth/register";

impl Call {
    fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }
}

impl Answer {
    fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == "true"
    }
}

/// The answer to `account` making a key under an idempotency key.
async fn make(stack: &TestStack, account: &Account, key: &str, body: &Value) -> Answer {
    let call = stack.post(KEYS).bearer(&account.access_token);
    call.idempotency_key(key).json(body).send().await
}

async fn register(stack: &TestStack, email: &str, password: &str, key: &str) -> Answer {
    let body = json!({"email": email, "password": password, "full_name": "Ada King"});
    let call = stack.post(REGISTER).idempotency_key(key);
    call.json(&body).send().await
}

/// How many live keys an account has.
async fn live_keys(stack: &TestStack, account: &Account) -> usize {
    let list = stack.get(&format!("{KEYS}?limit=100"));
    let answer = list.bearer(&account.access_token).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["items"].as_array().unwrap().len()
}

/// Two instances of one stage: the first behind a proxy that may let it down.
struct Instances {
    first: TestStack,
    second: TestStack,
    proxy: FaultProxy,
    engine: OwnEngine,
}

impl Instances {
    async fn start() -> Self {
        let engine = OwnEngine::start().await;
        let proxy = FaultProxy::start(&engine).await;
        let start = |endpoint: String| {
            TestStack::start_as(|options| Options {
                engine: Engine::At(endpoint),
                env: options
                    .env
                    .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
                    .with("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef")
                    .with("TURNPIKE_CURSOR_SECRET", "fedcba9876543210fedcba9876543210"),
                ..options
            })
        };
        Self {
            first: start(proxy.endpoint.clone()).await,
            second: start(engine.endpoint()).await,
            proxy,
            engine,
        }
    }

    /// Waits until a try is written down.
    async fn until_running(&self) {
        let client = client_at(&self.engine.endpoint());
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let scan = client.scan().table_name("AdmissionTable").send();
            let found = scan.await.unwrap().items.unwrap_or_default();
            let mut keys = found.iter().filter_map(|item| item["sk"].as_s().ok());
            if keys.any(|sk| sk.starts_with("IDEMPOTENCY#")) {
                return;
            }
            assert!(Instant::now() < deadline, "no try began");
        }
    }
}

/// The usual body of a request for a key.
fn wish() -> Value {
    json!({"name": "CI", "scopes": ["profile:read"]})
}
