//! Jobs, in their user's partition.

use super::tables::work::{JOB_SK_PREFIX, JobItem, job_sk};
use super::work::WorkTable;
use super::{DynamoDb, NewestFirst, StoreError, to_item};
use crate::clock::Timestamp;
use crate::ids::{JobId, UserId};
use crate::jobs::Job;

/// The jobs that users submitted.
#[derive(Clone)]
pub struct JobStore {
    table: WorkTable,
}

impl JobStore {
    pub fn new(dynamodb: &DynamoDb, work_table: String) -> Self {
        Self {
            table: WorkTable::new(dynamodb, work_table),
        }
    }

    /// Writes a job down as it is.
    pub async fn put(&self, job: &Job) -> Result<(), StoreError> {
        self.table.put(to_item(JobItem::from(job))?).await
    }

    /// At most `limit` jobs of a user, newest first, from behind `behind` on.
    pub async fn list(
        &self,
        user: UserId,
        behind: Option<JobId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<NewestFirst<Job>, StoreError> {
        let behind = behind.map(job_sk);
        let found = self
            .table
            .newest_first::<JobItem>(user, JOB_SK_PREFIX, behind, limit, now)
            .await?;
        Ok(found.map(Job::from))
    }
}
