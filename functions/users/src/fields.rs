//! What several requests need to be read: everything that is wrong with them is told at once.

use serde::{Deserialize, Deserializer};
use turnpike_shared::errors::{FieldError, Problem};

/// What is wrong with a request so far.
#[derive(Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    /// The value, unless it is what is wrong.
    pub(crate) fn one<T>(&mut self, parsed: Result<T, FieldError>) -> Option<T> {
        parsed.map_err(|error| self.0.push(error)).ok()
    }

    /// As [`Self::one`], for a field of which several things can be wrong.
    pub(crate) fn all<T>(&mut self, parsed: Result<T, Vec<FieldError>>) -> Option<T> {
        parsed.map_err(|errors| self.0.extend(errors)).ok()
    }

    /// The problem of a request of which something is wrong.
    pub(crate) fn into_problem(self) -> Problem {
        Problem::validation(self.0)
    }
}

/// `#[serde(default, deserialize_with = "given")]`: tells a member that is left out (`None`) from
/// one that is there, null included where `T` takes it.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// How much one request counts: 1 if it does not say, and at most a million.
pub(crate) fn cost(requested: Option<i64>) -> Result<u64, FieldError> {
    let requested = requested.unwrap_or(1);
    within("cost", requested, 1, 1_000_000, "A cost is 1 to 1,000,000.")
}

/// A number from `min` to `max`.
pub(crate) fn within(
    field: &str,
    number: i64,
    min: u64,
    max: u64,
    detail: &'static str,
) -> Result<u64, FieldError> {
    let number = u64::try_from(number).ok();
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| FieldError::new(field, "out-of-range", detail))
}
