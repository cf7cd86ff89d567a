//! Items of jobs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{json_text, user_pk};
use crate::clock::Timestamp;
use crate::ids::{JobId, UserId};
use crate::jobs::{Job, JobStatus, WorkflowType};

/// Before the id of each job of a user.
pub(crate) const JOB_SK_PREFIX: &str = "JOB#";

pub(crate) fn job_sk(id: JobId) -> String {
    format!("{JOB_SK_PREFIX}{id}")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stores::{from_item, to_item};

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

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
}
