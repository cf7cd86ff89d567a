//! Lambda's runtime API, as far as one instance needs it: who is answered when can be seen here.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use turnpike_local::Engine;

use super::emulator::{event, own_variables, tool};
use crate::recording::records;
use crate::support::{Fault, FaultProxy, OwnEngine, PASSWORD, TestStack, client_at};

const PATIENCE: Duration = Duration::from_secs(20);

/// An instance of a function, and the end of the runtime API that Lambda has.
struct Instance {
    events: mpsc::UnboundedSender<Value>,
    told: mpsc::UnboundedSender<()>,
    answers: mpsc::UnboundedReceiver<Value>,
    /// The extension asks for the next event: it is done with the last.
    extension_is_done: mpsc::UnboundedReceiver<()>,
    _process: Child,
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
    invocations: Mutex<mpsc::UnboundedReceiver<()>>,
    answered: mpsc::UnboundedSender<Value>,
    extension_asks: mpsc::UnboundedSender<()>,
}

impl Instance {
    async fn start(function: &str, dynamodb: &str) -> Self {
        let (events, to_be_served) = mpsc::unbounded_channel();
        let (told, invocations) = mpsc::unbounded_channel();
        let (answered, answers) = mpsc::unbounded_channel();
        let (extension_asks, extension_is_done) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            events: Mutex::new(to_be_served),
            invocations: Mutex::new(invocations),
            answered,
            extension_asks,
        });
        let response = "/2018-06-01/runtime/invocation/{id}/response";
        let router = Router::new()
            .route("/2020-01-01/extension/register", post(register_extension))
            .route("/2020-01-01/extension/event/next", get(next_of_extension))
            .route("/2018-06-01/runtime/invocation/next", get(next_event))
            .route(response, post(take_answer))
            .with_state(api);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let bootstrap: PathBuf = tool("TURNPIKE_BOOTSTRAPS").join(function).join("bootstrap");
        let process = Command::new(bootstrap)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", function),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
                ("TURNPIKE_ENVIRONMENT", "testing"),
                ("TURNPIKE_ISSUER", "http://127.0.0.1:3000"),
                ("TURNPIKE_IDENTITY_TABLE", "IdentityTable"),
                ("TURNPIKE_ADMISSION_TABLE", "AdmissionTable"),
                ("TURNPIKE_USAGE_TABLE", "UsageTable"),
            ])
            .envs(own_variables(function))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("make test-lambda builds it");
        let mut instance = Self {
            events,
            told,
            answers,
            extension_is_done,
            _process: process,
        };
        instance.extension_done().await;
        instance
    }

    /// Hands an event to the function, tells the extension of it, and waits for the answer.
    async fn answer(&mut self, event: Value) -> Value {
        self.told.send(()).unwrap();
        self.events.send(event).unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        answer.expect("it answers in time").unwrap()
    }

    async fn extension_done(&mut self) {
        let done = tokio::time::timeout(PATIENCE, self.extension_is_done.recv()).await;
        done.expect("the extension is done in time").unwrap();
    }
}

async fn register_extension() -> impl IntoResponse {
    let id = HeaderName::from_static("lambda-extension-identifier");
    let body = json!({"functionName": "f", "functionVersion": "$LATEST", "handler": "bootstrap"});
    ([(id, "1")], Json(body))
}

async fn next_of_extension(State(api): State<Arc<Api>>) -> Json<Value> {
    api.extension_asks.send(()).unwrap();
    api.invocations.lock().await.recv().await;
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
    Json(json!({
        "eventType": "INVOKE", "deadlineMs": 1, "requestId": "1", "invokedFunctionArn": arn,
    }))
}

async fn next_event(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let Some(event) = api.events.lock().await.recv().await else {
        std::future::pending().await
    };
    let headers = [
        ("lambda-runtime-aws-request-id", "1"),
        ("lambda-runtime-deadline-ms", "9999999999999"),
        ("lambda-runtime-invoked-function-arn", "arn"),
    ];
    (headers, Json(event))
}

async fn take_answer(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    let _ = api.answered.send(serde_json::from_slice(&body).unwrap());
    StatusCode::ACCEPTED
}

#[tokio::test]
async fn the_answer_goes_before_anything_is_written_and_the_instance_rests_after_it() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let _tables = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    let mut auth = Instance::start("auth", &proxy.endpoint).await;
    let client = client_at(&engine.endpoint());
    let attempt = json!({"email": "nobody@example.com", "password": PASSWORD}).to_string();
    let mut login = event("POST", "/api/v1/auth/login");
    login["headers"]["content-type"] = json!("application/json");
    login["body"] = json!(attempt);
    let mut refresh = event("POST", "/api/v1/auth/refresh");
    refresh["headers"]["content-type"] = json!("application/json");
    refresh["body"] = json!(r#"{"refresh_token": "junk"}"#);
    for _ in 1..25 {
        assert_eq!(auth.answer(refresh.clone()).await["statusCode"], 401);
        auth.extension_done().await;
    }
    assert_eq!(records(&client).await.len(), 0);

    proxy.set(Fault::Hold("UsageTable".into()));
    let answer = auth.answer(login).await;
    let before_the_write = auth.extension_is_done.try_recv();
    proxy.set(Fault::None);
    auth.extension_done().await;

    assert_eq!(
        answer["statusCode"], 401,
        "it came although no write was answered"
    );
    assert!(
        before_the_write.is_err(),
        "the extension waits for the write"
    );
    assert_eq!(records(&client).await.len(), 25);
}
