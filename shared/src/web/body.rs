//! Bodies: JSON of bounded size, read into a request type, refused with the documented problem.

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::params::field_error_of;
use super::single_header;
use super::strict_json::StrictValue;
use crate::errors::{FieldError, Problem, ProblemCode};

/// The largest body of an ordinary route, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A JSON body as a `T`. Refused, in this order: too large (413), not declared as JSON (415), not
/// well formed (400), not of `T`'s form (422).
pub struct ApiJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if announced_bytes(&parts.headers).is_some_and(|bytes| bytes > MAX_BYTES as u64) {
            return Err(too_large());
        }
        let body = match Limited::new(body, MAX_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(_) => return Err(malformed("The body broke off.".to_owned())),
        };
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                ProblemCode::UnsupportedMediaType,
                "Send the body as application/json.",
            ));
        }
        parse(&body).map(Self)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
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

fn too_large() -> Problem {
    Problem::new(
        ProblemCode::PayloadTooLarge,
        "The body is larger than 64 KiB.",
    )
}

fn malformed(detail: String) -> Problem {
    Problem::new(ProblemCode::MalformedJson, detail)
}
