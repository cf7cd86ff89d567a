//! `/api/v1/users`

mod api_keys;
mod limits_explain;
mod me;
mod quota;
mod usage;
