//! `/api/v1/admin/audit-log`: what was done, by whom, and whether the log still says so.

pub(crate) mod list;
pub(crate) mod verify;
