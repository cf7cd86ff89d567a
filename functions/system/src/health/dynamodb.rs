//! Whether DynamoDB is there.

use serde::Serialize;
use turnpike_shared::errors::chain;
use turnpike_shared::stores::{Probe, StoreError};
use utoipa::ToSchema;

use super::last_probe::Service;

/// Why DynamoDB did not answer as it should.
#[derive(Clone, Copy, Serialize, ToSchema, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorKind {
    /// It is away, overloaded or too slow.
    Unavailable,
    /// It refused: the table or the permission to read it is missing.
    Refused,
    /// Too many changes at once.
    Contended,
    /// Its answer could not be read.
    Damaged,
}

impl Service for Probe {
    type Answer = Result<(), ErrorKind>;

    async fn ask(&self) -> Self::Answer {
        Probe::ask(self).await.map_err(|error| {
            tracing::warn!(
                cause = chain(&error),
                "DynamoDB does not answer the health probe"
            );
            ErrorKind::from(&error)
        })
    }

    fn is_up(answer: &Self::Answer) -> bool {
        answer.is_ok()
    }
}

impl From<&StoreError> for ErrorKind {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::Unavailable,
            StoreError::Refused { .. } => Self::Refused,
            StoreError::Contended { .. } | StoreError::Superseded => Self::Contended,
            StoreError::Damaged(_) => Self::Damaged,
        }
    }
}
