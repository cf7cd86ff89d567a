//! `/api/v1/admin/cache`.

mod clear;
mod stats;
