//! Paths and query strings, refused as problems too.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::errors::{FieldError, Problem};

/// The one parameter of a path, as a `T`. What is not a `T` names nothing: 404.
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// The query string as a `T`; what does not fit is 422, with the parameter's name.
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs)
            .map(Self)
            .map_err(|error| Problem::validation(vec![field_error_of(&error)]))
    }
}

/// Says which field a deserialisation failed at, and of what. serde tells the kind of its error
/// in its text alone.
pub(super) fn field_error_of<E: Display>(error: &serde_path_to_error::Error<E>) -> FieldError {
    let message = error.inner().to_string();
    let path = error.path().to_string();
    let named = message.split('`').nth(1).unwrap_or_default();
    let at = |name: &str| match path.as_str() {
        "." => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if message.starts_with("unknown field") {
        FieldError::new(at(named), "unknown", "There is no such field.")
    } else if message.starts_with("missing field") {
        FieldError::new(at(named), "required", "The field is missing.")
    } else if message.starts_with("duplicate field") {
        FieldError::new(at(named), "invalid", "The field is given more than once.")
    } else {
        let field = if path == "." { "" } else { &path };
        // serde's own text would show the value, which may be a secret, and names of the code.
        FieldError::new(
            field,
            "wrong-type",
            "The value is of another type than the field.",
        )
    }
}
