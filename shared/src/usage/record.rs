//! The record of one request.

use crate::auth::Tier;
use crate::clock::Timestamp;
use crate::ids::UserId;

/// One request that was let in, with its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageRecord {
    pub at: Timestamp,
    /// Who asked; `None` at a route that is open to everybody.
    pub caller: Option<UsageCaller>,
    pub method: String,
    /// The path as a template, as the OpenAPI document has it.
    pub path: String,
    pub status: u16,
    pub duration_ms: u32,
    /// What admission counted for it.
    pub charged: u32,
}

/// Whose request it was, in the tier that it was let in under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageCaller {
    pub user: UserId,
    pub tier: Tier,
}
