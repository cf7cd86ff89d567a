//! `/api/v1/admin/audit-log`

mod list;
mod verify;

const PATH: &str = "/api/v1/admin/audit-log";
