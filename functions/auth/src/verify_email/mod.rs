//! `/api/v1/auth/verify-email`: whose address it is.

pub(crate) mod confirm;
pub(crate) mod request;
