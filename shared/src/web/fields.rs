//! What requests are read with: everything that is wrong with them is told at once.

use serde::{Deserialize, Deserializer};

use crate::errors::{FieldError, Problem};

/// What is wrong with a request so far.
#[derive(Default)]
pub struct Errors(Vec<FieldError>);

impl Errors {
    /// The value, unless it is what is wrong.
    pub fn one<T>(&mut self, parsed: Result<T, FieldError>) -> Option<T> {
        parsed.map_err(|error| self.0.push(error)).ok()
    }

    /// As [`Self::one`], for a field of which several things can be wrong.
    pub fn all<T>(&mut self, parsed: Result<T, Vec<FieldError>>) -> Option<T> {
        parsed.map_err(|errors| self.0.extend(errors)).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong, for whoever reads more of the request.
    pub fn into_errors(self) -> Vec<FieldError> {
        self.0
    }

    /// The problem of a request of which something is wrong.
    pub fn into_problem(self) -> Problem {
        Problem::validation(self.0)
    }
}

/// `#[serde(default, deserialize_with = "given")]`: tells a member that is left out (`None`) from
/// one that is there, null included where `T` takes it.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A number from `min` to `max`.
pub fn within(
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
