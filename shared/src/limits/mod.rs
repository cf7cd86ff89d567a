//! Limits: what is promised to whom, and whether one more request keeps the promise.
//!
//! The domain alone: it knows no HTTP, no store and no clock. The engines that keep the windows
//! are in [`crate::stores`]; what asks them, and what happens when they are away, is elsewhere.

pub mod policy;
