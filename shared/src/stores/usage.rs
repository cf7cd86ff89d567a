//! Usage: batches of records, as they are written down after the answers.
//!
//! A batch is written once and never changed.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;

use super::tables::usage::BatchItem;
use super::{DynamoDb, StoreError, to_item};
use crate::ids::BatchId;
use crate::usage::{Batch, UsageRecord};

/// Some 40 KB: far from what an item may hold, and read in one go.
const RECORDS_IN_A_BATCH: usize = 1_000;

/// The records of requests.
#[derive(Clone)]
pub struct UsageStore {
    client: Client,
    table: String,
}

impl UsageStore {
    pub fn new(dynamodb: &DynamoDb, usage_table: String) -> Self {
        Self {
            client: dynamodb.client(),
            table: usage_table,
        }
    }

    /// Writes records down, those of each slice in one write. `id` is made once for them: with the
    /// same id and the same records in the same order, a second call adds nothing to the first,
    /// whether that one succeeded, failed in the middle or is still under way.
    pub async fn append(&self, id: BatchId, records: &[UsageRecord]) -> Result<(), StoreError> {
        let batches = Batch::cut(records, RECORDS_IN_A_BATCH).into_iter();
        for (part, (slice, batch)) in batches.enumerate() {
            self.put_once(BatchItem::new(slice, id, part, batch))
                .await?;
        }
        Ok(())
    }

    async fn put_once(&self, item: BatchItem) -> Result<(), StoreError> {
        let is_not_there_yet = "attribute_not_exists(pk)";
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression(is_not_there_yet);
        match put.send().await {
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            outcome => outcome
                .map(|_| ())
                .map_err(|error| StoreError::from_sdk("PutItem", error)),
        }
    }
}
