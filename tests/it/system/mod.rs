//! The paths at the root

mod docs;
mod health;
mod index;
mod openapi_json;
