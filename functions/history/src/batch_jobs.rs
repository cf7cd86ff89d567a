//! `GET /api/v1/history/batch-jobs`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use turnpike_shared::admission::Caller;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::JobId;
use turnpike_shared::jobs::{Job, JobStatus, WorkflowType};
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::ToSchema;

use crate::App;

/// A job.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobObject {
    #[schema(value_type = String, example = "job_019a9f3c1c2a7d3e8f00112233445566")]
    id: JobId,
    workflow_type: WorkflowType,
    status: JobStatus,
    total_tasks: u64,
    completed_tasks: u64,
    failed_tasks: u64,
    /// The share of the tasks that are over, however they ended.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    progress: f64,
    /// What the caller said of the job.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// Why the job failed as a whole; null if it did not.
    #[schema(required)]
    error: Option<String>,
}

impl From<Job> for JobObject {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            workflow_type: job.workflow_type,
            status: job.status,
            total_tasks: job.total_tasks,
            completed_tasks: job.completed_tasks,
            failed_tasks: job.failed_tasks,
            progress: job.progress(),
            metadata: job.metadata,
            created_at: job.created_at,
            started_at: job.started_at,
            completed_at: job.completed_at,
            error: job.error,
        }
    }
}

/// List the own jobs
///
/// The jobs that the caller submitted within the last 90 days, newest first.
#[utoipa::path(
    get, path = "/api/v1/history/batch-jobs", operation_id = "listBatchJobs", tag = "History",
    params(ListQuery),
    responses((status = 200, description = "A page of jobs", body = Page<JobObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["history:read"]), ("api_key" = ["history:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<JobObject>>, Problem> {
    let owner = caller.id().to_string();
    let listed = ListOf {
        name: "batch-jobs",
        caller: &owner,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|id| id.parse().ok());
    let found = app.jobs().list(caller.id(), behind, limit, app.now());
    let found = found.await?;
    let last = found.items.last().filter(|_| found.has_more);
    let next_cursor = last.map(|job| app.cursor_key().seal(&job.id.to_string(), &listed));
    Ok(Json(Page {
        items: found.items.into_iter().map(JobObject::from).collect(),
        next_cursor,
    }))
}
