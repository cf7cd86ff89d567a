//! Preferences: what a user wants to be shown, one set a user.
//!
//! Rules without I/O. What topics and contexts there are is the product's own matter.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// How deep answers are to go.
pub const DEPTHS: RangeInclusive<u64> = 1..=6;

/// How much of a surprise they may be.
pub const TOLERANCES: RangeInclusive<u64> = 1..=5;

/// How large each of the two maps may be, as JSON without spaces: an item that is read often stays
/// small.
pub const MAX_MAP_BYTES: usize = 16 * 1024;

/// What a user prefers.
#[derive(Clone, PartialEq, Debug)]
pub struct Preferences {
    pub topic_preferences: Map<String, Value>,
    pub depth_preference: u64,
    pub surprise_tolerance: u64,
    pub contextual_preferences: Map<String, Value>,
}

/// Preferences as they are kept.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptPreferences {
    pub preferences: Preferences,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
