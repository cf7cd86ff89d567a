//! `POST /2015-03-31/functions/{name}/invocations`: Lambda's own path for invoking a function, as
//! the AWS CLI and the SDKs ask for it (AWS Lambda API Reference, "Invoke").

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::EventFunctions;

/// What Lambda takes of an event that somebody waits for.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

pub(crate) fn invoke_route(functions: Arc<EventFunctions>) -> Router {
    let invoke: MethodRouter<Arc<EventFunctions>> = post(invoke);
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", invoke)
        .layer(DefaultBodyLimit::max(MAX_EVENT_BYTES))
        .with_state(functions)
}

async fn invoke(
    State(functions): State<Arc<EventFunctions>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !functions.has(&name) {
        let message = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    }
    // An invocation without a payload is one with an empty object.
    let payload: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let event: Value = match serde_json::from_slice(payload) {
        Ok(event) => event,
        Err(error) => {
            let message = format!("Could not parse request body into json: {error}");
            let kind = "InvalidRequestContentException";
            return refusal(StatusCode::BAD_REQUEST, kind, &message);
        }
    };
    match headers
        .get("x-amz-invocation-type")
        .map_or(&b"RequestResponse"[..], |kind| kind.as_bytes())
    {
        b"Event" => {
            tokio::spawn(async move { functions.invoke(&name, event).await });
            StatusCode::ACCEPTED.into_response()
        }
        b"DryRun" => StatusCode::NO_CONTENT.into_response(),
        _ => match functions.invoke(&name, event).await {
            Some(Err(error)) => {
                ([("x-amz-function-error", "Unhandled")], Json(error)).into_response()
            }
            Some(Ok(report)) => Json(report).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = Json(json!({"Type": "User", "Message": message}));
    (status, [("x-amzn-errortype", kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde::Deserialize;
    use tower::ServiceExt as _;
    use turnpike_shared::clock::Clock;
    use turnpike_shared::runtime::{EventFunction, Invocation};

    use super::*;

    struct Adder;

    #[derive(Deserialize)]
    struct Summands {
        #[serde(default)]
        summands: Vec<u32>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("too much")]
    struct TooMuch;

    impl EventFunction for Adder {
        type Event = Summands;
        type Report = u32;
        type Failure = TooMuch;

        async fn handle(&self, event: Summands, _: Invocation) -> Result<u32, TooMuch> {
            assert!(event.summands.len() < 3, "told to panic by the test");
            let add = |sum: u32, summand: &u32| sum.checked_add(*summand);
            event.summands.iter().try_fold(0, add).ok_or(TooMuch)
        }
    }

    async fn invoked(name: &str, kind: Option<&str>, body: &str) -> (u16, Option<String>, String) {
        let mut functions = EventFunctions::new(Clock::system(), BTreeMap::new());
        functions.add("adder", Adder);
        let mut request = Request::post(format!("/2015-03-31/functions/{name}/invocations"));
        if let Some(kind) = kind {
            request = request.header("x-amz-invocation-type", kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = invoke_route(Arc::new(functions))
            .oneshot(request)
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let error = answer.headers().get("x-amz-function-error");
        let error = error.map(|error| error.to_str().unwrap().to_owned());
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, error, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_report_is_the_answer_and_no_payload_is_an_empty_object() {
        for (payload, sum) in [(r#"{"summands":[1,2]}"#, "3"), ("{}", "0"), ("", "0")] {
            let answer = invoked("adder", None, payload).await;

            assert_eq!(answer, (200, None, sum.to_owned()), "{payload}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_told_as_lambda_tells_it() {
        let cases = [
            (r#"{"summands":[4294967295,1]}"#, "TooMuch", "too much"),
            (
                r#"{"summands":["1"]}"#,
                "Malformed",
                "none that this function takes",
            ),
            (r#"{"summands":[1,1,1]}"#, "Panic", "panicked"),
        ];

        for (payload, kind, message) in cases {
            let (status, error, body) = invoked("adder", None, payload).await;

            assert_eq!((status, error.as_deref()), (200, Some("Unhandled")));
            let body: Value = serde_json::from_str(&body).unwrap();
            assert!(body["errorType"].as_str().unwrap().contains(kind), "{body}");
            assert!(
                body["errorMessage"].as_str().unwrap().contains(message),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn what_cannot_be_invoked_is_refused() {
        let (unknown, _, body) = invoked("subtracter", None, "{}").await;
        let (unreadable, ..) = invoked("adder", None, "{").await;

        assert_eq!(unknown, 404);
        assert!(body.contains("Function not found: subtracter"));
        assert_eq!(unreadable, 400);
    }

    #[tokio::test]
    async fn nobody_waits_for_an_event() {
        let event = invoked("adder", Some("Event"), r#"{"summands":[4294967295,1]}"#).await;
        let dry_run = invoked("adder", Some("DryRun"), "{}").await;

        assert_eq!(event, (202, None, String::new()));
        assert_eq!(dry_run, (204, None, String::new()));
    }
}
