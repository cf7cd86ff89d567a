//! `/api/v1/analytics`.

mod usage;
