//! `/api/v1/admin/users/{id}/sessions`

mod revoke;
