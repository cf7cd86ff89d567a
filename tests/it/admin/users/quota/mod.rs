//! `/api/v1/admin/users/{id}/quota`

mod end;
mod replace;
mod reset;
mod show;
