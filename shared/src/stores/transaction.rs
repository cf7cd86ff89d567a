//! Transactions: all of their writes or none, and which condition stood in the way.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use backon::{ExponentialBuilder, Retryable};

use super::StoreError;

const OPERATION: &str = "TransactWriteItems";

/// What became of a transaction that was not carried out.
pub(super) enum NotWritten {
    /// The condition of the write with this index did not hold; if several did not, the first.
    Condition(usize),
    Failed(StoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<NotWritten> for StoreError {
    /// For callers to whom any failed condition means that others were quicker.
    fn from(outcome: NotWritten) -> Self {
        match outcome {
            NotWritten::Condition(_) => Self::Contended {
                operation: OPERATION,
            },
            NotWritten::Failed(error) => error,
        }
    }
}

/// Up to twelve more tries over some two seconds, from 10 ms with full jitter: writers that meet
/// on an item pass it one after the other.
pub(super) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_millis(320))
        .with_max_times(12)
        .with_jitter()
}

/// Carries out `writes`, all or none. The SDK's client token makes its own retries harmless; a
/// conflict with another transaction on the same items is tried again here.
pub(super) async fn transact(
    client: &Client,
    writes: Vec<TransactWriteItem>,
) -> Result<(), NotWritten> {
    let attempt = || async {
        let request = client
            .transact_write_items()
            .set_transact_items(Some(writes.clone()));
        request.send().await.map(|_| ()).map_err(outcome_of)
    };
    attempt
        .retry(backoff())
        .when(|outcome| matches!(outcome, NotWritten::Failed(StoreError::Contended { .. })))
        .await
}

pub(super) fn outcome_of(error: SdkError<TransactWriteItemsError>) -> NotWritten {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons()
        }
        _ => &[],
    };
    let first_with = |code: &str| {
        reasons
            .iter()
            .position(|reason| reason.code() == Some(code))
    };
    if let Some(index) = first_with("ConditionalCheckFailed") {
        NotWritten::Condition(index)
    } else if first_with("TransactionConflict").is_some() {
        NotWritten::Failed(StoreError::Contended {
            operation: OPERATION,
        })
    } else {
        let is_throttled = first_with("ThrottlingError")
            .or_else(|| first_with("ProvisionedThroughputExceeded"))
            .is_some();
        match StoreError::from_sdk(OPERATION, error) {
            StoreError::Refused { operation, source } if is_throttled => {
                NotWritten::Failed(StoreError::Unavailable { operation, source })
            }
            error => NotWritten::Failed(error),
        }
    }
}

/// A builder of one of a transaction's writes, turned into the write.
pub(super) trait IntoWrite {
    fn into_write(self) -> TransactWriteItem;
}

macro_rules! into_write {
    ($($kind:ident $builder:path, $setter:ident;)+) => {$(
        impl IntoWrite for $builder {
            fn into_write(self) -> TransactWriteItem {
                let write: $kind =
                    self.build().expect("the callers set table, key and expression");
                TransactWriteItem::builder().$setter(write).build()
            }
        }
    )+};
}

into_write! {
    Put aws_sdk_dynamodb::types::builders::PutBuilder, put;
    Update aws_sdk_dynamodb::types::builders::UpdateBuilder, update;
    Delete aws_sdk_dynamodb::types::builders::DeleteBuilder, delete;
    ConditionCheck aws_sdk_dynamodb::types::builders::ConditionCheckBuilder, condition_check;
}
