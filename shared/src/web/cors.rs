//! Cross-origin requests (the Fetch standard's CORS protocol), from configured origins only.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tower::{Layer, Service, ServiceExt as _};
use tower_http::cors::CorsLayer;

use super::{idempotency, rate_limit_headers};
use crate::config::Cors;

/// What a page may send beyond the safelisted headers.
const REQUEST_HEADERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    idempotency::KEY,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// What a page may read beyond the safelisted headers.
const RESPONSE_HEADERS: [HeaderName; 6] = [
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    idempotency::REPLAYED,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// The layer for the configured origins; `None` when no page may call.
pub(super) fn layer(cors: &Cors) -> Option<CorsWhereDue> {
    let origins: Vec<HeaderValue> = cors
        .origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok())
        .collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers([&RESPONSE_HEADERS[..], &rate_limit_headers::NAMES].concat())
        .allow_credentials(cors.allow_credentials)
        .max_age(Duration::from_mins(10));
    Some(CorsWhereDue(layer))
}

/// Puts CORS around a route. An `OPTIONS` that is no preflight goes past it: the library would
/// answer that one too, although the route does not have the method.
#[derive(Clone)]
pub(super) struct CorsWhereDue(CorsLayer);

impl<S: Clone> Layer<S> for CorsWhereDue {
    type Service = Either<S>;

    fn layer(&self, route: S) -> Either<S> {
        Either {
            with_cors: self.0.layer(route.clone()),
            plain: route,
        }
    }
}

/// A route with CORS around it, and without.
#[derive(Clone)]
pub(super) struct Either<S> {
    with_cors: tower_http::cors::Cors<S>,
    plain: S,
}

impl<S> Service<Request> for Either<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.plain.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let headers = request.headers();
        let is_preflight = headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() == Method::OPTIONS && !is_preflight {
            Box::pin(self.plain.clone().oneshot(request))
        } else {
            Box::pin(self.with_cors.clone().oneshot(request))
        }
    }
}
