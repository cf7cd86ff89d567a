//! A DynamoDB engine of the test's own: to be stopped and started again, and with a proxy in front
//! that counts what is asked of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
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
    calls: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Forward {
    to: String,
    client: reqwest::Client,
    calls: Arc<AtomicUsize>,
}

impl CountingProxy {
    pub(crate) async fn start(engine: &OwnEngine) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let forward = Forward {
            to: engine.endpoint(),
            client: reqwest::Client::new(),
            calls: Arc::clone(&calls),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(hand_on).with_state(forward);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, calls }
    }

    /// How many calls have come so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn hand_on(
    State(forward): State<Forward>,
    mut headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, Bytes) {
    forward.calls.fetch_add(1, Ordering::SeqCst);
    headers.remove("host");
    let request = forward.client.post(&forward.to).headers(headers).body(body);
    let response = request.send().await.unwrap();
    let (status, mut headers) = (response.status(), response.headers().clone());
    headers.remove("transfer-encoding");
    (status, headers, response.bytes().await.unwrap())
}
