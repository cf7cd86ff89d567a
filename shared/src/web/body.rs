//! Bodies of bounded size: JSON, read into a request type and refused with the documented problem, or
//! bytes as they are.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::params::field_error_of;
use super::single_header;
use super::strict_json::StrictValue;
use crate::errors::{FieldError, Problem, ProblemCode};

/// The largest body of an ordinary route, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// The largest body of a route that takes large ones, in bytes.
const MAX_LARGE_BYTES: usize = 1024 * 1024;

/// A JSON body as a `T`, of at most `MAX` bytes. Refused, in this order: too large (413), not
/// declared as JSON (415), not well formed (400), not of `T`'s form (422).
pub struct ApiJson<T, const MAX: usize = MAX_BYTES>(pub T);

/// As [`ApiJson`], of at most 1 MiB.
pub type LargeJson<T> = ApiJson<T, MAX_LARGE_BYTES>;

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for ApiJson<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let object = match parts.extensions.remove() {
            Some(ReadBody(object)) => object,
            None => read(&parts.headers, body, MAX).await,
        };
        typed(object?).map(Self)
    }
}

/// A body as it is, whatever it is, of at most 1 MiB (413).
pub struct LargeBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for LargeBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        whole(&parts.headers, body, MAX_LARGE_BYTES).await.map(Self)
    }
}

/// What a layer came to that had to read the body ahead of the extractor, which refuses it in its
/// turn.
#[derive(Clone)]
pub(super) struct ReadBody(pub(super) Result<Value, Problem>);

/// Reads a body that is a JSON object of at most so many bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
) -> Result<Value, Problem> {
    let body = whole(headers, body, max_bytes).await?;
    if !is_json(headers) {
        return Err(Problem::new(
            ProblemCode::UnsupportedMediaType,
            "Send the body as application/json.",
        ));
    }
    parse(&body)
}

async fn whole(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Problem> {
    if announced_bytes(headers).is_some_and(|bytes| bytes > max_bytes as u64) {
        return Err(too_large(max_bytes));
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Err(_) => Err(malformed("The body broke off.".to_owned())),
    }
}

fn parse(body: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        malformed(format!(
            "The body is not UTF-8 from byte {}.",
            error.valid_up_to()
        ))
    })?;
    let StrictValue(value) = serde_json::from_str(text)
        .map_err(|error| malformed(format!("The body is not well-formed JSON: {error}.")))?;
    if !value.is_object() {
        // serde would read a struct from a list too, member by member.
        let error = FieldError::new("", "wrong-type", "The body is to be an object.");
        return Err(Problem::validation(vec![error]));
    }
    Ok(value)
}

/// An object as a `T`.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| Problem::validation(vec![field_error_of(&error)]))
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    single_header(headers, &header::CONTENT_LENGTH)?
        .parse()
        .ok()
}

/// `application/json`, or a type with the `+json` suffix (RFC 6839), with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = single_header(headers, &CONTENT_TYPE) else {
        return false;
    };
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn too_large(max_bytes: usize) -> Problem {
    let detail = format!("The body is larger than {} KiB.", max_bytes / 1024);
    Problem::new(ProblemCode::PayloadTooLarge, detail)
}

fn malformed(detail: String) -> Problem {
    Problem::new(ProblemCode::MalformedJson, detail)
}
