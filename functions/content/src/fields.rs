//! Kinds of fields that several requests of this function have.

use serde::Serialize;
use turnpike_shared::errors::FieldError;
pub(crate) use turnpike_shared::web::fields::{Errors, within};

/// A text of 1 to `max` characters.
pub(crate) fn text(field: &str, text: String, max: usize) -> Result<String, FieldError> {
    if text.is_empty() {
        return Err(FieldError::new(field, "too-short", "The text is empty."));
    }
    if text.chars().count() > max {
        let detail = format!("The text is at most {max} characters.");
        return Err(FieldError::new(field, "too-long", detail));
    }
    Ok(text)
}

/// JSON of at most `max` bytes, written without spaces.
pub(crate) fn json<T: Serialize>(field: &str, value: T, max: usize) -> Result<T, FieldError> {
    let bytes = serde_json::to_vec(&value).map_or(usize::MAX, |text| text.len());
    if bytes > max {
        let detail = format!("The value is at most {} KiB of JSON.", max / 1024);
        return Err(FieldError::new(field, "too-long", detail));
    }
    Ok(value)
}
