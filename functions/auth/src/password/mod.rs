//! `/api/v1/auth/password`: changed by who knows it, reset by who owns the address.

pub(crate) mod change;
pub(crate) mod reset;
pub(crate) mod reset_confirm;
