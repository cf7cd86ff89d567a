//! `/api/v1/auth/password`

mod change;
mod reset;
mod reset_confirm;
