//! Valkey: how it is found, proven to, and kept connected.

mod link;

pub(crate) use link::Live;
pub use link::{LinkState, ValkeyAddress, ValkeyLink};
