//! `/api/v1/auth/sessions`: where a user is signed in.

pub(crate) mod end;
pub(crate) mod list;
