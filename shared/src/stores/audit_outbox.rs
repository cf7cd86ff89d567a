//! The outbox of the audit log: entries that are written with what they record.

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::accounts::create;
use super::tables::identity::AuditOutboxItem;
use super::{StoreError, UserStore};
use crate::audit::AuditEntry;

impl UserStore {
    /// The write that leaves an entry for the audit log. It belongs into the transaction of what
    /// it records.
    pub(super) fn audited(&self, entry: &AuditEntry) -> Result<TransactWriteItem, StoreError> {
        create(&self.identity, AuditOutboxItem::from(entry))
    }
}
