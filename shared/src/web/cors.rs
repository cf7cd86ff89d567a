//! Cross-origin requests (the Fetch standard's CORS protocol), from configured origins only.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

use crate::config::Cors;

/// What a page may send beyond the safelisted headers.
const REQUEST_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// What a page may read beyond the safelisted headers.
const RESPONSE_HEADERS: [HeaderName; 4] = [
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// The layer for the configured origins; `None` when no page may call.
pub(super) fn layer(cors: &Cors) -> Option<CorsLayer> {
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
        .expose_headers(RESPONSE_HEADERS)
        .allow_credentials(cors.allow_credentials)
        .max_age(Duration::from_mins(10));
    Some(layer)
}
