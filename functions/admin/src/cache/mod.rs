//! `/api/v1/admin/cache`: what is cached for everybody, and how well.

pub(crate) mod clear;
pub(crate) mod stats;
