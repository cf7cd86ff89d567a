//! What came of a conditional write: done, or not done because its condition did not hold.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::StoreError;

/// The write's answer; `None` where its condition did not hold.
pub(super) fn if_condition_held<T, E>(
    operation: &'static str,
    answer: Result<T, SdkError<E>>,
) -> Result<Option<T>, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if did_not_hold(&error) => Ok(None),
        Err(error) => Err(StoreError::from_sdk(operation, error)),
    }
}

/// Whether a write was refused by its own condition.
pub(super) fn did_not_hold<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    code == Some("ConditionalCheckFailedException")
}
