//! A proxy in front of a DynamoDB engine that does to requests what DynamoDB does on a bad day: the
//! embedded engine knows no throttling, no conflicts and no silence.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::OwnEngine;

/// What happens to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It is handed on.
    None,
    /// It is throttled if it has this text in it.
    Throttle(String),
    /// It is never answered.
    Silence,
    /// It fails with a fault of the server's own.
    Failure,
    /// It is not handed on while it has this text in it and this is the fault.
    Hold(String),
    /// It is done if it has this text in it, and nobody is told.
    LoseAnswer(String),
    /// This many calls are handed on, the answer to the last of them is lost, and all later ones
    /// fail: who calls is cut off, or has died as far as the database can tell. Records of usage,
    /// which are written at any time, are not counted.
    CutOff(usize),
    /// This many calls of an operation meet another transaction on their items.
    Conflicts(&'static str, usize),
    /// This many calls are answered; of the next, this becomes, and it and all after it are never
    /// answered: whoever asks is as good as dead.
    DeadAfter(usize, LastCall),
}

/// What becomes of the call over which somebody dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LastCall {
    NeverSent,
    CarriedOut,
}

/// Hands calls on to an engine, as far as the fault lets them.
pub(crate) struct FaultProxy {
    pub(crate) endpoint: String,
    fault: Arc<Mutex<Fault>>,
    death: Arc<Notify>,
    held: Arc<Notify>,
}

#[derive(Clone)]
struct Forward {
    to: String,
    client: reqwest::Client,
    fault: Arc<Mutex<Fault>>,
    death: Arc<Notify>,
    held: Arc<Notify>,
}

impl FaultProxy {
    pub(crate) async fn start(engine: &OwnEngine) -> Self {
        let fault = Arc::new(Mutex::new(Fault::None));
        let death = Arc::new(Notify::new());
        let held = Arc::new(Notify::new());
        let forward = Forward {
            to: engine.endpoint(),
            client: reqwest::Client::new(),
            fault: Arc::clone(&fault),
            death: Arc::clone(&death),
            held: Arc::clone(&held),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(hand_on).with_state(forward);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            endpoint,
            fault,
            death,
            held,
        }
    }

    /// Returns when a call has come that is held.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }

    /// Returns when the call has come that is never answered.
    pub(crate) async fn death(&self) {
        self.death.notified().await;
    }

    /// What happens from now on.
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// What still happens: how many conflicts are left, for example.
    pub(crate) fn left(&self) -> Fault {
        self.fault.lock().unwrap().clone()
    }
}

async fn hand_on(State(forward): State<Forward>, mut headers: HeaderMap, body: Bytes) -> Response {
    let target = headers
        .get("x-amz-target")
        .map(|target| target.as_bytes().to_vec());
    let operation = String::from_utf8(target.unwrap_or_default()).unwrap();
    let fault = forward.fault.lock().unwrap().clone();
    let mut is_answer_lost = false;
    match fault {
        Fault::None | Fault::DeadAfter(..) => {}
        Fault::LoseAnswer(text) => {
            is_answer_lost = String::from_utf8_lossy(&body).contains(&text);
        }
        Fault::CutOff(left) => {
            if !String::from_utf8_lossy(&body).contains("UsageTable") {
                if left == 0 {
                    return refusal(500, "InternalServerError", "");
                }
                *forward.fault.lock().unwrap() = Fault::CutOff(left - 1);
                is_answer_lost = left == 1;
            }
        }
        Fault::Throttle(text) => {
            if String::from_utf8_lossy(&body).contains(&text) {
                return refusal(400, "ProvisionedThroughputExceededException", "");
            }
        }
        Fault::Hold(text) => {
            let is_about_it = String::from_utf8_lossy(&body).contains(&text);
            let hold = Fault::Hold(text);
            if is_about_it {
                forward.held.notify_one();
            }
            while is_about_it && *forward.fault.lock().unwrap() == hold {
                tokio::task::yield_now().await;
            }
        }
        Fault::Silence => std::future::pending().await,
        Fault::Failure => return refusal(500, "InternalServerError", ""),
        Fault::Conflicts(on, left) => {
            if operation.ends_with(on) && left > 0 {
                *forward.fault.lock().unwrap() = Fault::Conflicts(on, left - 1);
                return match on {
                    "TransactWriteItems" => refusal(
                        400,
                        "TransactionCanceledException",
                        r#","CancellationReasons":[{"Code":"TransactionConflict"}]"#,
                    ),
                    _ => refusal(400, "TransactionConflictException", ""),
                };
            }
        }
    }
    let last_call = match &mut *forward.fault.lock().unwrap() {
        Fault::DeadAfter(0, last_call) => Some(std::mem::replace(last_call, LastCall::NeverSent)),
        Fault::DeadAfter(left, _) => {
            *left -= 1;
            None
        }
        _ => None,
    };
    if last_call == Some(LastCall::NeverSent) {
        forward.death.notify_one();
        std::future::pending::<()>().await;
    }
    headers.remove("host");
    let request = forward.client.post(&forward.to).headers(headers).body(body);
    let response = request.send().await.unwrap();
    let (status, mut headers) = (response.status(), response.headers().clone());
    if last_call.is_some() {
        forward.death.notify_one();
        std::future::pending::<()>().await;
    }
    headers.remove("transfer-encoding");
    if is_answer_lost {
        return refusal(500, "InternalServerError", "");
    }
    (status, headers, response.bytes().await.unwrap()).into_response()
}

fn refusal(status: u16, code: &str, more: &str) -> Response {
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"a bad day"{more}}}"#
    );
    let status = StatusCode::from_u16(status).unwrap();
    (
        status,
        [("content-type", "application/x-amz-json-1.0")],
        body,
    )
        .into_response()
}
