//! Queries: what a user asks of an upstream, and what comes of it.
//!
//! One engine for requests and for jobs: it looks into the cache, asks the upstream, and reads the
//! answer. Who may ask what, and what that counts, is said here too, and held by whoever lets
//! requests in.

mod answer;
mod engine;
mod key;
mod offer;

pub use answer::Unusable;
pub use engine::{Asker, Outcome, Queries, QueryError, Question};
pub use key::Query;
pub use offer::{NotOffered, Price, upstream_for};
