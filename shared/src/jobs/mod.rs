//! Jobs: work that users leave to be done, as it is kept and shown.
//!
//! Rules without I/O. How a job is cut into tasks and who does them is not decided here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::{JobId, UserId};

/// How long a job is kept after it was submitted, as long as the queries of the history.
pub const RETENTION: Duration = crate::history::RETENTION;

/// What the tasks of a job do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowType {
    Query,
    UsageExport,
    HealthCheck,
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    Pending,
    Running,
    Completed,
    /// Every task was tried, and some failed.
    CompletedWithErrors,
    Failed,
    Cancelled,
}

/// A job of a user.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    pub id: JobId,
    pub user: UserId,
    pub workflow_type: WorkflowType,
    pub status: JobStatus,
    pub total_tasks: u64,
    pub completed_tasks: u64,
    pub failed_tasks: u64,
    /// The user's own words on the job.
    pub metadata: Map<String, Value>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Why it failed as a whole.
    pub error: Option<String>,
}

impl Job {
    /// The share of the tasks that are over, however they ended: 0.0 to 1.0. A job without tasks is
    /// through when it has ended.
    pub fn progress(&self) -> f64 {
        let over = self.completed_tasks.saturating_add(self.failed_tasks);
        if self.total_tasks == 0 {
            return if self.completed_at.is_some() {
                1.0
            } else {
                0.0
            };
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a job has a thousand tasks at most"
        )]
        let share = over.min(self.total_tasks) as f64 / self.total_tasks as f64;
        share
    }

    /// From when on the job is no longer shown.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus(RETENTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_share_of_the_tasks_that_are_over() {
        let cases = [
            ((4, 0, 0), false, 0.0),
            ((4, 1, 1), false, 0.5),
            ((4, 3, 1), true, 1.0),
            ((4, 1, 0), true, 0.25),
            ((4, 4, 4), true, 1.0),
            ((0, 0, 0), false, 0.0),
            ((0, 0, 0), true, 1.0),
        ];

        for ((total, completed, failed), has_ended, progress) in cases {
            let now = Timestamp::from_millis(1_795_207_396_042);
            let job = Job {
                id: JobId::new(now),
                user: UserId::new(now),
                workflow_type: WorkflowType::Query,
                status: JobStatus::Running,
                total_tasks: total,
                completed_tasks: completed,
                failed_tasks: failed,
                metadata: Map::new(),
                created_at: now,
                started_at: None,
                completed_at: has_ended.then_some(now),
                error: None,
            };
            let shown = job.progress();
            assert!((shown - progress).abs() < f64::EPSILON, "{job:?}: {shown}");
        }
    }
}
