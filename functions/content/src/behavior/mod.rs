//! `/api/v1/behavior`: what the caller's users do, as the product reports it.

pub(crate) mod list;
pub(crate) mod report;
