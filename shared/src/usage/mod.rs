//! Usage: what was asked for, by whom, how it was answered and how long that took.
//!
//! What is charged is counted where a request is admitted. The records here are analytics: they are
//! written in batches after the answers, and an instance that is killed loses those it still held.
//! Where they lie, and when they are summed up, is decided elsewhere.

mod batch;
mod latency;
mod period;
mod range;
mod record;
mod report;
mod sums;

pub use batch::Batch;
pub use latency::Latency;
pub use period::{Bucket, Granularity, Slice};
pub use range::{InvalidRange, Range};
pub use record::{UsageCaller, UsageRecord};
pub use report::{GroupBy, StageReport, UserReport};
pub use sums::{ANONYMOUS, Endpoint, StageUsage, Sum, Tally, UserUsage};
