//! `/api/v1/admin/users/{id}/sessions`.

pub(crate) mod revoke;
