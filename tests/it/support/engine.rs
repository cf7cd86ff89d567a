//! A DynamoDB engine of the test's own: to be stopped and started again, and with a proxy in front
//! that counts what is asked of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use turnpike_shared::config::Environment;
use turnpike_shared::stores::{DynamoDb, client_of_engine};

/// The word to stop a server with, and the server.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), String>>);

/// An engine on one port for its whole life.
pub(crate) struct OwnEngine {
    database: Database,
    addr: SocketAddr,
    running: Option<Running>,
}

impl OwnEngine {
    pub(crate) async fn start() -> Self {
        let database = Database::memory().unwrap();
        let mut engine = Self {
            database,
            addr: ([127, 0, 0, 1], 0).into(),
            running: None,
        };
        engine.serve().await;
        engine
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes a table with the keys that all tables have.
    pub(crate) async fn create_table(&self, name: &str) {
        let client = client_of_engine(&dynamodb_at(&self.endpoint()));
        let mut request = client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind);
            request = request
                .attribute_definitions(attribute.build().unwrap())
                .key_schema(key.build().unwrap());
        }
        request.send().await.unwrap();
    }

    pub(crate) async fn serve(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let serving =
            dynoxide::server::serve_with_shutdown(listener, self.database.clone(), shutdown);
        self.running = Some((stop, tokio::spawn(serving)));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, server) = self.running.take().unwrap();
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}

/// A client of the engine at an address.
pub(crate) fn dynamodb_at(endpoint: &str) -> DynamoDb {
    let env = Environment::default()
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
    DynamoDb::from_environment(&env).unwrap()
}

/// Hands calls on to an engine and counts them.
pub(crate) struct CountingProxy {
    pub(crate) endpoint: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// What was sent, in its order.
    bodies: Mutex<Vec<String>>,
    calls: AtomicUsize,
    writes: AtomicUsize,
    batches: AtomicUsize,
}

#[derive(Clone)]
struct Forward {
    to: String,
    client: reqwest::Client,
    counts: Arc<Counts>,
}

impl CountingProxy {
    pub(crate) async fn start(engine: &OwnEngine) -> Self {
        let counts = Arc::new(Counts::default());
        let forward = Forward {
            to: engine.endpoint(),
            client: reqwest::Client::new(),
            counts: Arc::clone(&counts),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(hand_on).with_state(forward);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, counts }
    }

    /// How many calls have come so far, but for those that write usage records, which no request
    /// waits for.
    pub(crate) fn calls(&self) -> usize {
        self.counts.calls.load(Ordering::SeqCst)
    }

    /// How many calls so far had all of these texts in them.
    pub(crate) fn calls_about(&self, texts: &[&str]) -> usize {
        let bodies = self.counts.bodies.lock().unwrap();
        let is_about = |body: &&String| texts.iter().all(|text| body.contains(text));
        bodies.iter().filter(is_about).count()
    }

    /// How many of all calls have written something.
    pub(crate) fn writes(&self) -> usize {
        self.counts.writes.load(Ordering::SeqCst) + self.batches()
    }

    /// How many batches of usage records have been written.
    pub(crate) fn batches(&self) -> usize {
        self.counts.batches.load(Ordering::SeqCst)
    }
}

impl Counts {
    fn add(&self, headers: &HeaderMap, body: &[u8]) {
        let target = headers.get("x-amz-target").map(HeaderValue::as_bytes);
        let writes = ["PutItem", "UpdateItem", "DeleteItem", "WriteItems"];
        let is_write = |target: &[u8]| writes.iter().any(|one| target.ends_with(one.as_bytes()));
        let is_write = target.is_some_and(is_write);
        let body = String::from_utf8_lossy(body).into_owned();
        let is_batch = body.contains("UsageTable");
        self.bodies.lock().unwrap().push(body);
        let counter = if is_batch {
            &self.batches
        } else {
            self.calls.fetch_add(1, Ordering::SeqCst);
            &self.writes
        };
        if is_write {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn hand_on(
    State(forward): State<Forward>,
    mut headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, Bytes) {
    forward.counts.add(&headers, &body);
    headers.remove("host");
    let request = forward.client.post(&forward.to).headers(headers).body(body);
    let response = request.send().await.unwrap();
    let (status, mut headers) = (response.status(), response.headers().clone());
    headers.remove("transfer-encoding");
    (status, headers, response.bytes().await.unwrap())
}
