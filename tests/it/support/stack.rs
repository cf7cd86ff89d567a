//! The local stack, started for one test, with a clock and an engine that the test may touch.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use turnpike_local::{Engine, Options, Stack, signing_keys_document};
use turnpike_shared::admission::Budgets;
use turnpike_shared::auth::{Algorithm, PasswordHasher};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::Environment;
use turnpike_shared::stores::client_of_engine;

use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use super::{Account, Call, PASSWORD, dynamodb_at};

/// One set of keys for all stacks: making an RSA key takes longer than most tests.
pub(crate) fn signing_keys() -> &'static str {
    static KEYS: LazyLock<String> = LazyLock::new(|| {
        signing_keys_document(Algorithm::RS256, None)
            .expect("keys are made")
            .expose_secret()
            .to_owned()
    });
    &KEYS
}

/// Budgets for tests of something else: a machine that is busy with other tests is no outage.
pub(crate) const PATIENT: Budgets = Budgets {
    valkey: Duration::from_secs(5),
    dynamodb: Duration::from_secs(10),
};

pub(crate) struct TestStack {
    pub(crate) base: String,
    pub(crate) hasher: PasswordHasher,
    pub(crate) stack: Stack,
    engine_endpoint: OnceCell<String>,
    client: reqwest::Client,
    clock_shift: Arc<AtomicI64>,
}

impl TestStack {
    pub(crate) async fn start() -> Self {
        Self::start_with(|env| env).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(Environment) -> Environment) -> Self {
        Self::start_on(Engine::Embedded, configure).await
    }

    pub(crate) async fn start_on(
        engine: Engine,
        configure: impl FnOnce(Environment) -> Environment,
    ) -> Self {
        Self::start_as(|options| Options {
            engine,
            env: configure(options.env),
            ..options
        })
        .await
    }

    /// Starts a stack with everything that can be set about one.
    pub(crate) async fn start_as(adjust: impl FnOnce(Options) -> Options) -> Self {
        let clock_shift = Arc::new(AtomicI64::new(0));
        let hasher = PasswordHasher::new();
        let env = Environment::default()
            .with("TURNPIKE_ENVIRONMENT", "testing")
            .with("TURNPIKE_SIGNING_KEYS", signing_keys());
        let options = Options {
            addr: ([127, 0, 0, 1], 0).into(),
            data: None,
            engine: Engine::Embedded,
            valkey: None,
            policy: Some(super::root().join("tests/it/support/generous.toml")),
            budgets: PATIENT,
            env,
            clock: Clock::shifted(Arc::clone(&clock_shift)),
            hasher: hasher.clone(),
        };
        let started = Box::pin(Stack::start(adjust(options)));
        let stack = started.await.expect("the stack starts");
        Self {
            base: stack.base.clone(),
            hasher,
            stack,
            engine_endpoint: OnceCell::new(),
            client: client(),
            clock_shift,
        }
    }

    /// Moves the stack's time on.
    pub(crate) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).expect("a test's time is short");
        self.clock_shift.fetch_add(millis, Ordering::Relaxed);
    }

    /// The stack's time.
    pub(crate) fn now(&self) -> Timestamp {
        Clock::shifted(Arc::clone(&self.clock_shift)).now()
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(reqwest::Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(reqwest::Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call {
        self.call(reqwest::Method::PUT, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(reqwest::Method::DELETE, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call {
        self.call(reqwest::Method::PATCH, path)
    }

    pub(crate) fn call(&self, method: reqwest::Method, path: &str) -> Call {
        Call::new(self.client.request(method, format!("{}{path}", self.base)))
    }

    /// Registers `email` with the usual password.
    pub(crate) async fn register(&self, email: &str) -> Account {
        let body = serde_json::json!({"email": email, "password": PASSWORD});
        let answer = self.post("/api/v1/auth/register").json(&body).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        Account::from_answer(email, &answer.body)
    }

    /// Signs `email` in with the usual password.
    pub(crate) async fn login(&self, email: &str) -> Account {
        let body = serde_json::json!({"email": email, "password": PASSWORD});
        let answer = self.post("/api/v1/auth/login").json(&body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Account::from_answer(email, &answer.body)
    }

    /// The status that `GET /auth/me` answers this access token with.
    pub(crate) async fn me_status(&self, access_token: &str) -> u16 {
        self.get("/api/v1/auth/me")
            .bearer(access_token)
            .send()
            .await
            .status
    }

    /// The mails to `email`, newest first.
    pub(crate) async fn mails(&self, email: &str) -> Vec<Value> {
        let answer = self
            .get(&format!("/_local/mail?to={}", email.replace('+', "%2B")))
            .send()
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["items"]
            .as_array()
            .cloned()
            .expect("a list of mails")
    }

    /// The token in the newest mail to `email`.
    pub(crate) async fn mailed_token(&self, email: &str) -> String {
        let mails = self.mails(email).await;
        let text = mails.first().expect("a mail has come")["text"]
            .as_str()
            .expect("it has a text")
            .to_owned();
        let is_token = |line: &&str| line.len() == 43 && !line.contains(' ');
        text.lines()
            .find(is_token)
            .expect("the token has a line of its own")
            .to_owned()
    }

    /// Where the embedded engine can be reached, from the first call on.
    pub(crate) async fn engine_endpoint(&self) -> &str {
        let serve = async || {
            let database = self.stack.database.clone().expect("the engine is embedded");
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(dynoxide::server::serve_on(listener, database));
            endpoint
        };
        self.engine_endpoint.get_or_init(serve).await
    }

    /// The embedded engine, seen past the functions.
    pub(crate) async fn dynamodb(&self) -> Client {
        client_at(self.engine_endpoint().await)
    }

    /// Deactivates a user, as an admin would.
    pub(crate) async fn deactivate(&self, user_id: &str) {
        deactivate(&self.dynamodb().await, user_id).await;
    }

    /// Deactivates a user in an engine of the test's own.
    pub(crate) async fn deactivate_at(&self, endpoint: &str, user_id: &str) {
        deactivate(&client_at(endpoint), user_id).await;
    }

    pub(crate) async fn set_user_attribute(&self, user: &str, name: &str, value: AttributeValue) {
        set_user_attribute(&self.dynamodb().await, user, name, value).await;
    }

    /// Changes a user in an engine of the test's own.
    pub(crate) async fn set_user_attribute_at(
        &self,
        endpoint: &str,
        user: &str,
        name: &str,
        value: AttributeValue,
    ) {
        set_user_attribute(&client_at(endpoint), user, name, value).await;
    }
}

/// A client of an engine, to see past the functions with.
pub(crate) fn client_at(endpoint: &str) -> Client {
    client_of_engine(&dynamodb_at(endpoint))
}

/// Changes a user's record as an admin would: the epoch is raised with it, here and where requests
/// are admitted.
async fn set_user_attribute(client: &Client, user: &str, name: &str, value: AttributeValue) {
    let one = AttributeValue::N("1".into());
    let record = client
        .update_item()
        .table_name("IdentityTable")
        .key("pk", AttributeValue::S(format!("USER#{user}")))
        .key("sk", AttributeValue::S("USER".into()))
        .update_expression("SET #name = :value ADD epoch :one")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_names("#name", name)
        .expression_attribute_values(":value", value.clone())
        .expression_attribute_values(":one", one.clone());
    record.send().await.expect("the user's item is updated");
    let mut standing = client
        .update_item()
        .table_name("AdmissionTable")
        .key("pk", AttributeValue::S(format!("USER#{user}")))
        .key("sk", AttributeValue::S("ADMISSION".into()))
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":one", one);
    standing = if name == "is_active" {
        standing
            .update_expression("SET active = :value ADD ep :one, v :one")
            .expression_attribute_values(":value", value)
    } else {
        standing.update_expression("ADD ep :one, v :one")
    };
    standing
        .send()
        .await
        .expect("the user's standing is updated");
}

async fn deactivate(client: &Client, user: &str) {
    set_user_attribute(client, user, "is_active", AttributeValue::Bool(false)).await;
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client without TLS is always made")
}
