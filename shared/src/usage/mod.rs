//! Usage: what was asked for, by whom, how it was answered and how long that took.
//!
//! What is charged is counted where a request is admitted. The records here are analytics: they are
//! written in batches after the answers, and an instance that is killed loses those it still held.

mod record;

pub use record::{UsageCaller, UsageRecord};
