//! `/api/v1/users/api-keys`

mod change;
mod create;
mod list;
mod made_by_keys;
mod revoke;
mod rotate;
mod show;
mod use_of_keys;
