//! `/api/v1/history/queries`: what the caller asked upstreams for.

pub(crate) mod delete;
pub(crate) mod list;
