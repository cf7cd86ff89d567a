//! `GET /api/v1/history/batch-jobs`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::ids::JobId;
use turnpike_shared::jobs::{Job, JobStatus, RETENTION, WorkflowType};
use turnpike_shared::stores::JobStore;

use crate::support::{Account, Answer, TestStack, dynamodb_at};

const JOBS: &str = "/api/v1/history/batch-jobs";

/// The jobs, as who does them writes them down.
async fn jobs(stack: &TestStack) -> JobStore {
    JobStore::new(
        &dynamodb_at(stack.engine_endpoint().await),
        "WorkTable".to_owned(),
    )
}

fn job_of(account: &Account, at: Timestamp) -> Job {
    Job {
        id: JobId::new(at),
        user: account.id.parse().unwrap(),
        workflow_type: WorkflowType::Query,
        status: JobStatus::Pending,
        total_tasks: 4,
        completed_tasks: 0,
        failed_tasks: 0,
        metadata: Map::new(),
        created_at: at,
        started_at: None,
        completed_at: None,
        error: None,
    }
}

async fn list(stack: &TestStack, account: &Account, parameters: &str) -> Answer {
    let call = stack.get(&format!("{JOBS}{parameters}"));
    call.bearer(&account.access_token).send().await
}

#[tokio::test]
async fn jobs_are_shown_newest_first_with_their_progress_and_to_their_user_alone() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    let jobs = jobs(&stack).await;
    let now = stack.now();
    let older = job_of(&ada, now.minus(Duration::from_mins(1)));
    let ended = Job {
        status: JobStatus::CompletedWithErrors,
        workflow_type: WorkflowType::UsageExport,
        completed_tasks: 3,
        failed_tasks: 1,
        metadata: json!({"note": "nightly"}).as_object().unwrap().clone(),
        started_at: Some(now),
        completed_at: Some(now),
        ..job_of(&ada, now)
    };
    for job in [&older, &ended, &job_of(&bob, now)] {
        jobs.put(job).await.unwrap();
    }

    let answer = list(&stack, &ada, "").await;

    let expected = json!({"items": [
        {
            "id": ended.id, "workflow_type": "usage_export", "status": "completed_with_errors",
            "total_tasks": 4, "completed_tasks": 3, "failed_tasks": 1, "progress": 1.0,
            "metadata": {"note": "nightly"}, "created_at": now, "started_at": now,
            "completed_at": now, "error": null,
        },
        {
            "id": older.id, "workflow_type": "query", "status": "pending",
            "total_tasks": 4, "completed_tasks": 0, "failed_tasks": 0, "progress": 0.0,
            "metadata": {}, "created_at": older.created_at, "started_at": null,
            "completed_at": null, "error": null,
        },
    ], "next_cursor": null});
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn pages_of_jobs_follow_one_another_and_end_where_jobs_have_expired() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let jobs = jobs(&stack).await;
    let now = stack.now();
    let ages = [0, 1, 2].map(Duration::from_secs);
    for age in ages.into_iter().chain([RETENTION]) {
        jobs.put(&job_of(&ada, now.minus(age))).await.unwrap();
    }

    let first = list(&stack, &ada, "?limit=2").await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = list(&stack, &ada, &format!("?limit=2&cursor={cursor}")).await;

    assert_eq!(first.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(second.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(second.body["next_cursor"], Value::Null);
}
