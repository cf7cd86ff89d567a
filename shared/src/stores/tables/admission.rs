//! The `admission` table: what is promised, and what has been used of it.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `POLICY` | `CURRENT` | [`PolicyItem`]: the owner's policy; absent while the built-in one holds |

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

pub(crate) const POLICY_PK: &str = "POLICY";
pub(crate) const POLICY_SK: &str = "CURRENT";

/// The owner's policy, as they wrote it.
#[derive(Serialize, Deserialize)]
pub(crate) struct PolicyItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) toml: String,
    pub(crate) put_at: i64,
}

impl PolicyItem {
    pub(crate) fn new(toml: &str, put_at: Timestamp) -> Self {
        Self {
            pk: POLICY_PK.to_owned(),
            sk: POLICY_SK.to_owned(),
            toml: toml.to_owned(),
            put_at: put_at.millis(),
        }
    }
}
