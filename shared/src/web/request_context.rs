//! What surrounds a request: its id, its trace, its span, and the one line that it leaves in the
//! log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, field};

use super::{problem, single_header};
use crate::admission::{LetIn, RequestNotes};
use crate::auth::one_time_token::random_bytes;
use crate::clock::{Clock, Timestamp};
use crate::errors::{Problem, chain};
use crate::ids::{self, UserId};
use crate::limits::routes::described;
use crate::telemetry::REQUEST_TARGET;
use crate::usage::UsageRecord;
use crate::usage_recorder::UsageRecorder;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Which function answers, and under which address.
pub struct FunctionContext {
    function: &'static str,
    base: String,
    clock: Clock,
    is_cold: AtomicBool,
    recorder: Option<UsageRecorder>,
    panic_path: Option<String>,
}

impl FunctionContext {
    /// `base` is the stage's own origin.
    pub fn new(function: &'static str, base: &str, clock: Clock) -> Self {
        Self {
            function,
            base: base.to_owned(),
            clock,
            is_cold: AtomicBool::new(true),
            recorder: None,
            panic_path: None,
        }
    }

    /// Records every request that is let in.
    #[must_use]
    pub fn recorded_by(self, recorder: UsageRecorder) -> Self {
        Self {
            recorder: Some(recorder),
            ..self
        }
    }

    /// Makes whatever handles `path` panic, for the test of what becomes of a panic.
    #[must_use]
    pub fn panicking_at(self, path: Option<String>) -> Self {
        Self {
            panic_path: path,
            ..self
        }
    }
}

/// The trace that AWS X-Ray put the invocation in, for the log of requests that bring no other.
/// Whoever receives requests may put it among a request's extensions.
#[derive(Clone)]
pub struct TraceHeader(pub String);

/// Who sent the request, once that is known; a handler's extractor leaves it in the answer's log
/// line through this.
#[derive(Clone)]
pub struct Identified(Span);

impl Identified {
    pub fn as_user(&self, user: UserId) {
        self.0.record("user_id", field::display(user));
    }
}

/// Stands where the handlers stand, within everything that surrounds them.
pub(super) async fn panic_if_told_to(
    State(context): State<Arc<FunctionContext>>,
    request: Request,
    next: Next,
) -> Response {
    let is_told_to = context.panic_path.as_deref() == Some(request.uri().path());
    assert!(!is_told_to, "told to panic by the test's configuration");
    next.run(request).await
}

pub(super) async fn around(
    State(context): State<Arc<FunctionContext>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut record = Recording::begin(&context, &mut request);
    let request_id = accepted_request_id(request.headers())
        .map_or_else(|| ids::unprefixed(record.came_at), str::to_owned);
    let trace = single_header(request.headers(), &TRACEPARENT).and_then(TraceParent::parse);
    let trace_id = match (&trace, request.extensions().get::<TraceHeader>()) {
        (Some(trace), _) => Some(trace.trace_id.clone()),
        (None, Some(header)) => Some(header.0.clone()),
        (None, None) => None,
    };
    // Of the highest level, so that a failure has its request's id whatever the log leaves out.
    let span = tracing::error_span!(
        "request",
        request_id,
        trace_id,
        function = context.function,
        user_id = field::Empty
    );
    request.extensions_mut().insert(Identified(span.clone()));

    let mut response = next.run(request).instrument(span.clone()).await;

    let _entered = span.entered();
    let problem = problem::render(&mut response, &context.base, &request_id);
    if let Some(problem) = &problem {
        log_failure(problem);
    }
    add_headers(response.headers_mut(), &request_id, trace.as_ref());
    let status = response.status().as_u16();
    record.status = status;
    tracing::info!(
        target: REQUEST_TARGET,
        route = record.route.as_deref().unwrap_or("none"),
        method = %record.method,
        status,
        status_class = format!("{}xx", status / 100),
        code = problem.as_ref().map(|problem| problem.code.code()),
        duration_ms = record.started.elapsed().as_secs_f64() * 1000.0,
        requests = 1,
        cold_start = context.is_cold.swap(false, Ordering::Relaxed),
        "request",
    );
    response
}

/// The status of a request whose client went away before it was answered, as nginx has it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request on its way to being recorded, which it is at its end: with its answer, or without one
/// because its client is gone. Its caller was charged either way.
struct Recording<'a> {
    context: &'a FunctionContext,
    /// Where admission notes who was let in.
    noted: RequestNotes,
    route: Option<String>,
    method: Method,
    came_at: Timestamp,
    started: Instant,
    status: u16,
}

impl<'a> Recording<'a> {
    fn begin(context: &'a FunctionContext, request: &mut Request) -> Self {
        let noted = RequestNotes::default();
        request.extensions_mut().insert(noted.clone());
        let route = request.extensions().get::<MatchedPath>();
        Self {
            context,
            noted,
            route: route.map(|path| described(path.as_str()).to_owned()),
            method: request.method().clone(),
            came_at: context.clock.now(),
            started: Instant::now(),
            status: CLIENT_CLOSED_REQUEST,
        }
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        let (Some(recorder), Some(route)) = (&self.context.recorder, &self.route) else {
            return;
        };
        for LetIn { caller, charged } in self.noted.let_in() {
            recorder.record(UsageRecord {
                at: self.came_at,
                caller,
                method: self.method.to_string(),
                path: route.clone(),
                status: self.status,
                duration_ms: u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX),
                charged,
            });
        }
    }
}

/// A failure is logged here and nowhere else, with everything that led to it.
fn log_failure(problem: &Problem) {
    let code = problem.code.code();
    match &problem.cause {
        Some(cause) if problem.code.status() >= 500 => {
            tracing::error!(code, cause = chain(cause.as_ref()), "request failed");
        }
        Some(cause) => tracing::info!(code, cause = chain(cause.as_ref()), "request refused"),
        None => {}
    }
}

fn add_headers(headers: &mut HeaderMap, request_id: &str, trace: Option<&TraceParent>) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, value);
    }
    if let Some(trace) = trace
        && let Ok(value) = HeaderValue::from_str(&trace.continued())
    {
        headers.insert(TRACEPARENT, value);
    }
}

/// The caller's own request id, if it is one that can be logged and looked for.
fn accepted_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = single_header(headers, &X_REQUEST_ID)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    ((8..=128).contains(&id.len()) && id.bytes().all(is_plain)).then_some(id)
}

/// A trace as another service handed it on (W3C Trace Context, section 3.2).
struct TraceParent {
    trace_id: String,
    flags: String,
}

impl TraceParent {
    fn parse(header: &str) -> Option<Self> {
        let is_hex = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let parts: Vec<&str> = header.split('-').collect();
        let [version, trace_id, parent_id, flags, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let has_form = (version.len(), trace_id.len(), parent_id.len(), flags.len())
            == (2, 32, 16, 2)
            && parts.iter().take(4).all(|part| is_hex(part));
        let is_nothing = |text: &str| text.bytes().all(|byte| byte == b'0');
        // Version 00 has four parts; a later one may append to them.
        let is_known = *version != "ff" && (rest.is_empty() || *version != "00");
        let is_valid = has_form && is_known && !is_nothing(trace_id) && !is_nothing(parent_id);
        is_valid.then(|| Self {
            trace_id: (*trace_id).to_owned(),
            flags: (*flags).to_owned(),
        })
    }

    /// The same trace with a span of ours as the newest.
    fn continued(&self) -> String {
        let span_id = u64::from_be_bytes(random_bytes::<8>()).max(1);
        format!("00-{}-{span_id:016x}-{}", self.trace_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_trace_is_continued_with_a_span_of_ours() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

        let continued = TraceParent::parse(trace).unwrap().continued();

        assert!(continued.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert!(continued.ends_with("-01"));
        assert!(!continued.contains("b7ad6b7169203331"));
        assert!(TraceParent::parse(&continued).is_some());
    }

    #[test]
    fn a_malformed_trace_is_ignored() {
        let cases = [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        ];

        for case in cases {
            assert!(TraceParent::parse(case).is_none(), "{case}");
        }
    }
}
