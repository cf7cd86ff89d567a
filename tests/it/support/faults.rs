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
    /// This many requests are handed on, the next one is answered as a fault of the server's own,
    /// whether it was carried out or not, and so are all that follow.
    After(usize, Lost),
    /// This many calls of an operation meet another transaction on their items.
    Conflicts(&'static str, usize),
}

/// What of a request is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    Request,
    Answer,
}

/// Hands calls on to an engine, as far as the fault lets them.
pub(crate) struct FaultProxy {
    pub(crate) endpoint: String,
    fault: Arc<Mutex<Fault>>,
    held: Arc<Notify>,
}

#[derive(Clone)]
struct Forward {
    to: String,
    client: reqwest::Client,
    fault: Arc<Mutex<Fault>>,
    held: Arc<Notify>,
}

impl FaultProxy {
    pub(crate) async fn start(engine: &OwnEngine) -> Self {
        let fault = Arc::new(Mutex::new(Fault::None));
        let forward = Forward {
            to: engine.endpoint(),
            client: reqwest::Client::new(),
            fault: Arc::clone(&fault),
            held: Arc::default(),
        };
        let held = Arc::clone(&forward.held);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(hand_on).with_state(forward);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            endpoint,
            fault,
            held,
        }
    }

    /// What happens from now on.
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Waits until a request is held.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }

    /// What still happens: how many conflicts are left, for example.
    pub(crate) fn left(&self) -> Fault {
        self.fault.lock().unwrap().clone()
    }
}

impl Forward {
    /// What happens to a request that has just come.
    fn next(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let happens = fault.clone();
        match happens {
            Fault::After(0, _) => *fault = Fault::After(0, Lost::Request),
            Fault::After(left, lost) => *fault = Fault::After(left - 1, lost),
            _ => {}
        }
        happens
    }
}

async fn hand_on(State(forward): State<Forward>, mut headers: HeaderMap, body: Bytes) -> Response {
    let target = headers
        .get("x-amz-target")
        .map(|target| target.as_bytes().to_vec());
    let operation = String::from_utf8(target.unwrap_or_default()).unwrap();
    let fault = forward.next();
    let is_answer_lost = fault == Fault::After(0, Lost::Answer);
    match fault {
        Fault::After(0, Lost::Request) => return refusal(500, "InternalServerError", ""),
        Fault::None | Fault::After(..) => {}
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
    headers.remove("host");
    let request = forward.client.post(&forward.to).headers(headers).body(body);
    let response = request.send().await.unwrap();
    let (status, mut headers) = (response.status(), response.headers().clone());
    headers.remove("transfer-encoding");
    let body = response.bytes().await.unwrap();
    if is_answer_lost {
        return refusal(500, "InternalServerError", "");
    }
    (status, headers, body).into_response()
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
