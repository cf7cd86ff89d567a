//! The HTTP conventions that every route follows: how requests are read, how problems and lists
//! are answered, and what stands around every handler.
//!
//! Routing and extraction are axum's; nothing in here knows a route.

mod admission;
mod body;
mod cache_object;
mod cors;
mod cursor_secret;
mod deadline;
pub mod fields;
mod foundation;
mod idempotency;
mod limit_object;
mod list;
mod params;
mod peer;
mod problem;
mod rate_limit_headers;
mod request_context;
mod security_headers;
mod strict_json;
mod usage_object;
mod user_object;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;

pub use admission::{Admits, ClientIp, SignedInCaller, admit, presented, problem_of, require};
pub use body::{ApiJson, LargeBytes, LargeJson};
pub use cache_object::{CacheStatsBody, CacheTierObject, InvalidationRequest};
pub use cursor_secret::{CursorSecretError, cursor_secret};
pub use deadline::Deadline;
pub use foundation::Foundation;
pub use idempotency::{Answer, AnswerKeeper, Answers, KeepsAnswers, Repetition, keep_answers};
pub use limit_object::{LimitStateObject, QuotaBody};
pub use list::{CursorKey, ListOf, ListQuery, Page};
pub use params::{ApiPath, ApiQuery};
pub use peer::PeerIp;
pub use problem::{ProblemBody, ValidationProblemBody};
pub use request_context::{FunctionContext, Identified, TraceHeader};
pub use usage_object::{StageUsageBody, StageUsageQuery, UsageBody, UsageQuery};
pub use user_object::{UserBody, UserObject};
pub use visitor::Visitor;

use crate::config::Cors;
use crate::errors::{Problem, ProblemCode};

/// Puts what every answer needs around a function's routes: problems for unknown paths and
/// methods, CORS, security headers, the request's id, its span and its log line.
pub fn with_conventions(routes: Router, context: FunctionContext, cors: &Cors) -> Router {
    let context = Arc::new(context);
    let routes = routes
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemCode::MethodNotAllowed,
                "The path has no such method; see Allow.",
            )
        })
        .layer(from_fn_with_state(
            Arc::clone(&context),
            request_context::panic_if_told_to,
        ))
        .layer(CatchPanicLayer::custom(problem::of_panic));
    let routes = match cors::layer(cors) {
        Some(layer) => routes.layer(layer),
        None => routes,
    };
    routes
        .layer(from_fn(security_headers::add))
        .layer(from_fn_with_state(context, request_context::around))
}

/// The one value of a header; `None` when there is none, several, or one that is not ASCII.
pub fn single_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
