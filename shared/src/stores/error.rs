//! What a store's caller must tell apart: away for now, or broken.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why a store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer in time, answered with a fault of its own, or is throttling.
    #[error("{operation}: the database is away, overloaded or too slow")]
    Unavailable {
        operation: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It refused: a missing table or permission, or a request that is wrong.
    #[error("{operation}: the database refused the request")]
    Refused {
        operation: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Too many writers at once changed what this one was about to change.
    #[error("{operation}: too many concurrent changes")]
    Contended { operation: &'static str },
    /// Another try of the same request has taken this one's place; nothing was written.
    #[error("another try of the request has taken this one's place")]
    Superseded,
    /// What is stored does not have the form that this release reads.
    #[error("an item could not be read or written")]
    Damaged(#[source] serde_dynamo::Error),
}

/// Codes of errors that pass by themselves (DynamoDB Developer Guide, "Error handling").
const TRANSIENT: &[&str] = &[
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

impl StoreError {
    /// Whether the same call may well succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Contended { .. } => true,
            Self::Refused { .. } | Self::Superseded | Self::Damaged(_) => false,
        }
    }

    pub(super) fn from_sdk<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let is_transient = match &error {
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => true,
            SdkError::ServiceError(answer) => {
                answer.raw().status().is_server_error()
                    || answer
                        .err()
                        .code()
                        .is_some_and(|code| TRANSIENT.contains(&code))
            }
            _ => false,
        };
        let source = Box::new(error);
        if is_transient {
            Self::Unavailable { operation, source }
        } else {
            Self::Refused { operation, source }
        }
    }
}

impl From<StoreError> for crate::errors::Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Superseded) {
            Self::in_progress().caused_by(error)
        } else if error.is_transient() {
            Self::unavailable(error)
        } else {
            Self::internal(error)
        }
    }
}
