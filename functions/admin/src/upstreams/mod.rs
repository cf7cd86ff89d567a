//! `/api/v1/admin/upstreams`: how the upstreams of the policy are.

pub(crate) mod list;
pub(crate) mod reset;
