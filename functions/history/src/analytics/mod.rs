//! `/api/v1/analytics`: what requests come to.

pub(crate) mod usage;
