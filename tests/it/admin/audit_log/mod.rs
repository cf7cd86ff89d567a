//! `/api/v1/admin/audit-log`

mod list;
mod verify;
