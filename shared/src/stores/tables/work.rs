//! The `work` table: what users keep, and what was done for them.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `USER#<user>` | `QUERY#<query>` | [`QueryItem`]: a query that the user asked |
//! | `USER#<user>` | `JOB#<job>` | [`JobItem`]: a job that the user submitted |
//!
//! Everything of a user lies in the user's partition. Ids carry their time, so the items of a kind
//! sort by it, and what was made first expires first.
//!
//! JSON of a user's own is kept as its text: DynamoDB's numbers have other bounds, and its values nest
//! less deeply.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::history::QueryRecord;
use crate::ids::{JobId, QueryId, UserId};
use crate::jobs::{Job, JobStatus, WorkflowType};

/// Before the id of each query of a user.
pub(crate) const QUERY_SK_PREFIX: &str = "QUERY#";

pub(crate) fn user_pk(user: UserId) -> String {
    format!("USER#{user}")
}

pub(crate) fn query_sk(id: QueryId) -> String {
    format!("{QUERY_SK_PREFIX}{id}")
}

/// Before the id of each job of a user.
pub(crate) const JOB_SK_PREFIX: &str = "JOB#";

pub(crate) fn job_sk(id: JobId) -> String {
    format!("{JOB_SK_PREFIX}{id}")
}

/// A query, as the history has it.
#[derive(Serialize, Deserialize)]
pub(crate) struct QueryItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: QueryId,
    pub(crate) user_id: UserId,
    pub(crate) upstream: String,
    pub(crate) query: String,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cache_tier: Option<String>,
    pub(crate) execution_time_ms: u64,
    pub(crate) created_at: i64,
    pub(crate) ttl: i64,
}

impl From<&QueryRecord> for QueryItem {
    fn from(record: &QueryRecord) -> Self {
        Self {
            pk: user_pk(record.user),
            sk: query_sk(record.id),
            id: record.id,
            user_id: record.user,
            upstream: record.upstream.clone(),
            query: QueryRecord::text_kept(&record.query).to_owned(),
            status: record.status,
            cache_tier: record.cache_tier.clone(),
            execution_time_ms: record.execution_time_ms,
            created_at: record.created_at.millis(),
            ttl: record.expires_at().seconds(),
        }
    }
}

impl From<QueryItem> for QueryRecord {
    fn from(item: QueryItem) -> Self {
        Self {
            id: item.id,
            user: item.user_id,
            upstream: item.upstream,
            query: item.query,
            status: item.status,
            cache_tier: item.cache_tier,
            execution_time_ms: item.execution_time_ms,
            created_at: Timestamp::from_millis(item.created_at),
        }
    }
}

/// A job. The counters are attributes of their own, so that they are raised one by one.
#[derive(Serialize, Deserialize)]
pub(crate) struct JobItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: JobId,
    pub(crate) user_id: UserId,
    pub(crate) workflow_type: WorkflowType,
    pub(crate) status: JobStatus,
    pub(crate) total_tasks: u64,
    pub(crate) completed_tasks: u64,
    pub(crate) failed_tasks: u64,
    #[serde(with = "json_text")]
    pub(crate) metadata: Map<String, Value>,
    pub(crate) created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) started_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) completed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
    pub(crate) ttl: i64,
}

impl From<&Job> for JobItem {
    fn from(job: &Job) -> Self {
        Self {
            pk: user_pk(job.user),
            sk: job_sk(job.id),
            id: job.id,
            user_id: job.user,
            workflow_type: job.workflow_type,
            status: job.status,
            total_tasks: job.total_tasks,
            completed_tasks: job.completed_tasks,
            failed_tasks: job.failed_tasks,
            metadata: job.metadata.clone(),
            created_at: job.created_at.millis(),
            started_at: job.started_at.map(Timestamp::millis),
            completed_at: job.completed_at.map(Timestamp::millis),
            error: job.error.clone(),
            ttl: job.expires_at().seconds(),
        }
    }
}

impl From<JobItem> for Job {
    fn from(item: JobItem) -> Self {
        Self {
            id: item.id,
            user: item.user_id,
            workflow_type: item.workflow_type,
            status: item.status,
            total_tasks: item.total_tasks,
            completed_tasks: item.completed_tasks,
            failed_tasks: item.failed_tasks,
            metadata: item.metadata,
            created_at: Timestamp::from_millis(item.created_at),
            started_at: item.started_at.map(Timestamp::from_millis),
            completed_at: item.completed_at.map(Timestamp::from_millis),
            error: item.error,
        }
    }
}

/// JSON as its text: `#[serde(with = "json_text")]`.
mod json_text {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::MAX_QUERY_CHARS;
    use crate::stores::{from_item, to_item};

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn record() -> QueryRecord {
        QueryRecord {
            id: QueryId::new(NOW),
            user: UserId::new(NOW),
            upstream: "library".to_owned(),
            query: "whales".to_owned(),
            status: 200,
            cache_tier: Some("valkey".to_owned()),
            execution_time_ms: 41,
            created_at: NOW,
        }
    }

    #[test]
    fn a_query_reads_back_as_it_was_asked_and_is_kept_for_90_days() {
        for cache_tier in [Some("memory".to_owned()), None] {
            let record = QueryRecord {
                cache_tier,
                ..record()
            };

            let item = to_item(QueryItem::from(&record)).unwrap();

            let read: QueryItem = from_item(item).unwrap();
            assert_eq!(read.pk, format!("USER#{}", record.user));
            assert_eq!(read.sk, format!("QUERY#{}", record.id));
            assert_eq!(read.ttl, 1_795_207_396 + 90 * 86_400);
            assert_eq!(QueryRecord::from(read), record);
        }
    }

    #[test]
    fn a_job_reads_back_as_it_was_written_and_is_kept_for_90_days() {
        let metadata = json!({"note": "nightly", "deep": [{"n": 1e300}, u64::MAX, ""]});
        let ended = Job {
            id: JobId::new(NOW),
            user: UserId::new(NOW),
            workflow_type: WorkflowType::UsageExport,
            status: JobStatus::CompletedWithErrors,
            total_tasks: 10,
            completed_tasks: 9,
            failed_tasks: 1,
            metadata: metadata.as_object().unwrap().clone(),
            created_at: NOW,
            started_at: Some(NOW),
            completed_at: Some(NOW),
            error: Some("the upstream is away".to_owned()),
        };
        let new = Job {
            status: JobStatus::Pending,
            metadata: Map::new(),
            started_at: None,
            completed_at: None,
            error: None,
            ..ended.clone()
        };

        for job in [ended, new] {
            let item = to_item(JobItem::from(&job)).unwrap();

            let read: JobItem = from_item(item).unwrap();
            assert_eq!(read.sk, format!("JOB#{}", job.id));
            assert_eq!(read.ttl, 1_795_207_396 + 90 * 86_400);
            assert_eq!(Job::from(read), job);
        }
    }

    #[test]
    fn a_long_query_is_kept_in_part() {
        let record = QueryRecord {
            query: "x".repeat(1024 * 1024),
            ..record()
        };

        let item = QueryItem::from(&record);

        assert_eq!(item.query.len(), MAX_QUERY_CHARS);
    }
}
