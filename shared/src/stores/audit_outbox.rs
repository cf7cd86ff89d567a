//! The outbox of the audit log: entries that are written with what they record.

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::accounts::create;
use super::tables::identity::AuditOutboxItem;
use super::transaction::{NotWritten, outcome_of};
use super::{StoreError, UserStore};
use crate::audit::AuditEntry;

impl UserStore {
    /// The write that leaves an entry for the audit log. It belongs into the transaction of what
    /// it records.
    pub(super) fn audited(&self, entry: &AuditEntry) -> Result<TransactWriteItem, StoreError> {
        create(&self.identity, AuditOutboxItem::from(entry))
    }

    /// Leaves an entry that records no change of an item. For ten minutes the same entry can be
    /// left again, by whoever cannot know what became of it, and is there once: the id is the
    /// transaction's token (DynamoDB API Reference, `TransactWriteItems`, `ClientRequestToken`).
    /// Without that an entry could be put back after it was chained.
    pub async fn leave_entry(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let request = self
            .client
            .transact_write_items()
            .transact_items(self.audited(entry)?)
            .client_request_token(entry.id.to_string());
        match request.send().await.map_err(outcome_of) {
            Ok(_) | Err(NotWritten::Condition(_)) => Ok(()),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }
}
