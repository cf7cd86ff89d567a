//! Queries: what a user asks of an upstream, and what comes of it.

mod offer;

pub use offer::{NotOffered, Price, upstream_for};
