//! Valkey: where it is, how one signs in to it, and how the link is kept.

pub mod endpoint;
pub mod iam;
mod link;
mod script;

pub(crate) use link::Live;
pub use link::{LinkState, PingError, ValkeyAddress, ValkeyLink};
pub(crate) use script::{Call, Script};
