//! `/api/v1/history`.

mod batch_jobs;
mod queries;
