//! `/api/v1/auth/verify-email`

mod confirm;
mod request;
