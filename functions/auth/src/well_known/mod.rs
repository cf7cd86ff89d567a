//! `/.well-known/*`: what other programs look for (RFC 8615).

pub(crate) mod jwks;
pub(crate) mod openid_configuration;
pub(crate) mod security_txt;

use axum::http::HeaderValue;

/// Public and the same for everybody. A new key is published 3 hours before it signs, so an hour
/// in a cache, and another in the next, still shows it in time.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");
