//! `/api/v1/auth/sessions`

mod end;
mod list;
