//! Problems as HTTP answers (RFC 9457).

use std::any::Any;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::errors::{FieldError, Problem, ProblemCode};

/// The one type that is not ours (draft-ietf-httpapi-ratelimit-headers-11, section 5).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The media type of problems.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A problem document.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The address of a page about this kind of problem.
    #[serde(rename = "type")]
    #[schema(format = "uri")]
    kind: String,
    /// The kind of problem, for people; the same at every occurrence.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// This occurrence, for people.
    detail: String,
    /// The kind of problem, for programs.
    code: &'static str,
    /// The id to name to the operator; also in `X-Request-Id`.
    request_id: String,
    /// Of a `quota-exceeded`: the names of the limits that refused.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    violated_policies: Vec<String>,
}

/// A problem document that lists what is wrong with the request's fields.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ValidationProblem)]
pub struct ValidationProblemBody {
    #[serde(flatten)]
    problem: ProblemBody,
    errors: Vec<FieldError>,
}

/// The status and the headers are set here. The body names the request and the stage, which a
/// handler does not know, so [`render`] writes it on the way out.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: every 401 names a scheme.
            let challenge = HeaderValue::from_static("Bearer realm=\"turnpike\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of an answer that carries a problem, and returns the problem for the log.
pub(super) fn render(response: &mut Response, base: &str, request_id: &str) -> Option<Problem> {
    let problem = response.extensions_mut().remove::<Problem>()?;
    let body = ProblemBody {
        kind: match problem.code {
            ProblemCode::QuotaExceeded => QUOTA_EXCEEDED.to_owned(),
            code => format!("{base}/docs/errors/{}", code.code()),
        },
        title: problem.code.title(),
        status: problem.code.status(),
        detail: problem.detail.clone().into_owned(),
        code: problem.code.code(),
        request_id: request_id.to_owned(),
        violated_policies: problem.violated_policies.clone(),
    };
    let rendered = if problem.errors.is_empty() {
        Json(body).into_response()
    } else {
        Json(ValidationProblemBody {
            problem: body,
            errors: problem.errors.clone(),
        })
        .into_response()
    };
    *response.body_mut() = rendered.into_body();
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    Some(problem)
}

/// What a handler died of.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

/// Turns a panic into a 500 and leaves the process alive.
#[expect(
    clippy::needless_pass_by_value,
    reason = "this is the form that the layer calls"
)]
pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Problem::internal(Panicked(text.to_owned())).into_response()
}
