//! `/api/v1/admin/audit-log`: what was done, by whom, and whether the log of it is whole.

pub(crate) mod list;
pub(crate) mod verify;
