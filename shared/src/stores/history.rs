//! The history of queries: a record of each, in its user's partition, for 90 days.

use super::tables::work::{QUERY_SK_PREFIX, QueryItem, query_sk};
use super::work::WorkTable;
use super::{DynamoDb, NewestFirst, StoreError, to_item};
use crate::clock::Timestamp;
use crate::history::QueryRecord;
use crate::ids::{QueryId, UserId};

/// The queries that users asked.
#[derive(Clone)]
pub struct HistoryStore {
    table: WorkTable,
}

impl HistoryStore {
    pub fn new(dynamodb: &DynamoDb, work_table: String) -> Self {
        Self {
            table: WorkTable::new(dynamodb, work_table),
        }
    }

    /// Writes a query down. With the same record, a second call changes nothing.
    pub async fn record(&self, record: &QueryRecord) -> Result<(), StoreError> {
        self.table.put(to_item(QueryItem::from(record))?).await
    }

    /// At most `limit` queries of a user, newest first, from behind `behind` on.
    pub async fn list(
        &self,
        user: UserId,
        behind: Option<QueryId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<NewestFirst<QueryRecord>, StoreError> {
        let behind = behind.map(query_sk);
        let found = self
            .table
            .newest_first::<QueryItem>(user, QUERY_SK_PREFIX, behind, limit, now)
            .await?;
        Ok(found.map(QueryRecord::from))
    }

    /// Removes a query from a user's history; whether it was in it.
    pub async fn delete(
        &self,
        user: UserId,
        id: QueryId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.table.delete(user, &query_sk(id), now).await
    }
}
