//! `/api/v1/admin/analytics`: what the whole stage was asked for.

pub(crate) mod usage;
