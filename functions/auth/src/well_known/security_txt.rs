//! `GET /.well-known/security.txt`: where to report a vulnerability (RFC 9116).

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::CACHE;
use crate::App;

/// RFC 9116, section 2.5.5: less than a year ahead is recommended.
const VALID_FOR: Duration = Duration::from_hours(90 * 24);

/// Show where to report vulnerabilities
///
/// The operator's contact for security researchers.
#[utoipa::path(
    get, path = "/.well-known/security.txt", operation_id = "showSecurityContact",
    tag = "Discovery",
    responses((status = 200, description = "The contact", body = String, content_type = "text/plain")),
    security(()),
)]
pub(crate) async fn security_txt(State(app): State<App>) -> Response {
    let expires = app.clock().now().plus(VALID_FOR);
    let text = format!(
        "Contact: {}\nExpires: {expires}\nPreferred-Languages: en\nCanonical: {}/.well-known/security.txt\n",
        app.security_contact(),
        app.issuer(),
    );
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, plain), (CACHE_CONTROL, CACHE)], text).into_response()
}
