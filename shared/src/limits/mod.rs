//! Limits: what is promised to whom, and whether one more request keeps the promise.
//!
//! The domain alone: it knows no HTTP, no store and no clock. The engines that keep the windows
//! are in [`crate::stores`]; what asks them, and what happens when they are away, is elsewhere.

mod check;
mod memory;
mod period;
pub mod plan;
pub mod policy;
mod report;
pub mod routes;
mod window;

pub(crate) use memory::counted;

pub use check::{Ask, Check, Proof, Source, Subject, Verdict, WindowId};
pub use memory::MemoryEngine;
pub use period::{Period, Threshold, Told};
pub use report::{LimitReport, LimitState};
pub use window::{Bucket, Counter, Reading, Window};
