//! The fields that several requests of this function have.

use turnpike_shared::errors::FieldError;
pub(crate) use turnpike_shared::web::fields::{Errors, given, within};

/// How much one request counts: 1 if it does not say, and at most a million.
pub(crate) fn cost(requested: Option<i64>) -> Result<u64, FieldError> {
    let requested = requested.unwrap_or(1);
    within("cost", requested, 1, 1_000_000, "A cost is 1 to 1,000,000.")
}
