//! `/api/v1/users/limits/*` and `/api/v1/limits/*`.

pub(crate) mod check;
pub(crate) mod explain;
