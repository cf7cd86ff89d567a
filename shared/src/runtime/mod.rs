//! Start-up: what every function's `main` does, once.

mod events;
mod recorded;

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use lambda_http::Adapter;
use lambda_http::request::RequestContext;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde_json::Value;

pub use events::{EventFunction, EventService, Invocation, InvocationError};

use crate::clock::{Clock, Timestamp};
use crate::config::{self, Environment, LogFilter};
use crate::errors::chain;
use crate::failed_sign_ins::FailedSignIns;
use crate::telemetry;
use crate::usage_recorder::UsageRecorder;
use crate::web::{Deadline, Foundation, PeerIp, TraceHeader};
use recorded::Recorders;

/// The routes of an HTTP function, and what records them if they let requests in.
pub struct HttpFunction {
    routes: Router,
    recorders: Option<Recorders>,
}

impl HttpFunction {
    pub fn recorded_by(recorder: UsageRecorder, routes: Router) -> Self {
        Self {
            routes,
            recorders: Some(Recorders::of_usage(recorder)),
        }
    }

    /// The routes of a function that stands on `foundation`.
    pub fn on(foundation: &Foundation, routes: Router) -> Self {
        let mut recorders = Recorders::of_usage(foundation.recorder().clone());
        recorders.afterwards = foundation.afterwards().clone();
        Self {
            routes,
            recorders: Some(recorders),
        }
    }

    /// The same function, which signs people in.
    #[must_use]
    pub fn telling_of(mut self, failed_sign_ins: FailedSignIns) -> Self {
        if let Some(recorders) = &mut self.recorders {
            recorders.failed_sign_ins = Some(failed_sign_ins);
        }
        self
    }
}

impl From<Router> for HttpFunction {
    fn from(routes: Router) -> Self {
        Self {
            routes,
            recorders: None,
        }
    }
}

/// Runs an HTTP function under Lambda: reads the environment, starts logging, builds the routes
/// and serves API Gateway's events until Lambda ends the process.
///
/// A function that cannot start says why in one log line and exits with a failure.
pub fn serve<B, F, H, E>(function: &'static str, build: B) -> ExitCode
where
    B: FnOnce(Environment) -> F,
    F: Future<Output = Result<H, E>>,
    H: Into<HttpFunction>,
    E: Error + 'static,
{
    run(function, async |env| {
        let function = build(env).await.map_err(|error| chain(&error))?;
        let HttpFunction { routes, recorders } = function.into();
        // What `lambda_http::run` does, with layers of ours; its `runtime` wants answers that
        // threads may share, which axum's are not.
        let service = Adapter::from(routes.layer(from_fn(adapt)));
        let runtime = Runtime::new(service).layer(TracingLayer::new());
        Box::pin(serve_events(runtime, recorders)).await
    })
}

/// Runs an event function under Lambda, as [`serve`] does an HTTP function.
pub fn handle<B, F, H, E>(function: &'static str, build: B) -> ExitCode
where
    B: FnOnce(Environment) -> F,
    F: Future<Output = Result<H, E>>,
    H: EventFunction,
    E: Error + 'static,
{
    run(function, async |env| {
        let handler = build(env).await.map_err(|error| chain(&error))?;
        let recorders = handler.recorder().map(Recorders::of_usage);
        let service = &EventService::new(function, handler);
        let invoke = |event: LambdaEvent<Value>| async move {
            let invocation = Invocation::from_lambda(&event.context);
            Box::pin(service.invoke(event.payload, invocation)).await
        };
        // In boxes, as futures within futures get too deep for the compiler to lay out.
        Box::pin(serve_events(Runtime::new(service_fn(invoke)), recorders)).await
    })
}

/// Serves events until Lambda ends the process, and writes what is recorded of them.
async fn serve_events<S>(runtime: Runtime<S>, recorders: Option<Recorders>) -> Result<(), String>
where
    S: Service<LambdaInvocation, Response = (), Error = lambda_runtime::Error>,
{
    let ended = match recorders {
        Some(recorders) => recorded::run(runtime, recorders).await,
        None => runtime.run().await,
    };
    ended.map_err(|error| error.to_string())
}

/// What both kinds of function have in common.
fn run(
    function: &'static str,
    serve: impl AsyncFnOnce(Environment) -> Result<(), String>,
) -> ExitCode {
    let env = Environment::of_process();
    let filter = config::log_filter(&env);
    telemetry::init(filter.as_ref().unwrap_or(&LogFilter::default()));
    if let Err(cause) = filter {
        tracing::error!(function, cause = chain(&cause), "the function cannot start");
        return ExitCode::FAILURE;
    }
    // Two threads, as hashing has a pool of its own and a function serves one request at a time.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let served = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(serve(env)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!(function, cause, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Hands on what API Gateway knows of a request, in our own terms.
async fn adapt(mut request: Request, next: Next) -> Response {
    let peer = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    };
    let peer = peer.and_then(PeerIp::parse);
    let invocation = request.extensions().get::<lambda_http::Context>();
    let trace = invocation
        .and_then(|context| context.xray_trace_id.as_deref())
        .and_then(root_of);
    let left = invocation.map(|context| left_until(context.deadline));
    if let Some(left) = left {
        Deadline::of_invocation(left).note(&mut request);
    }
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    if let Some(trace) = trace {
        request.extensions_mut().insert(TraceHeader(trace));
    }
    next.run(request).await
}

/// How long it is until a moment, in milliseconds since the Unix epoch.
fn left_until(deadline: u64) -> Duration {
    let deadline = Timestamp::from_millis(i64::try_from(deadline).unwrap_or(i64::MAX));
    deadline.since(Clock::system().now())
}

/// The id in an X-Ray trace header, `Root=1-…;Parent=…;Sampled=…` (AWS X-Ray Developer Guide,
/// "Tracing header").
fn root_of(header: &str) -> Option<String> {
    header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("Root="))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_handler_is_told_when_lambda_ends_the_invocation() {
        let told = |deadline: Deadline| async move { deadline.remaining().as_secs().to_string() };
        let routes = Router::new().fallback(told).layer(from_fn(adapt));
        let ends_at = Clock::system().now().plus(Duration::from_millis(20_500));
        let mut context = lambda_http::Context::default();
        context.deadline = u64::try_from(ends_at.millis()).unwrap();
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(context);

        let answer = routes.oneshot(request).await.unwrap();

        let body = to_bytes(answer.into_body(), 100).await.unwrap();
        assert_eq!(body, "18");
    }
}
