//! `/api/v1/admin/users`

mod change;
mod last_admin;
mod list;
mod quota;
mod sessions;
mod show;
