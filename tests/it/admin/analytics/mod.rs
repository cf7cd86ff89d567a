//! `/api/v1/admin/analytics`

mod usage;
