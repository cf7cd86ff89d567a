//! The `admission` table: what decides whether a request is let in.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | a subject: `USER#<user>`, `IP#<address>`, ... | `ADMISSION` | the subject's windows and, of a user, [`StandingItem`] |
//! | `POLICY` | `CURRENT` | [`PolicyItem`]: the owner's policy; absent while the built-in one holds |
//! | `QUOTA_RESET` | `SHARD#<shard>` | [`PositionItem`]: where the closing of periods is to go on |
//! | `VALKEY` | `PENDING#<subject>` | word that Valkey may still hold a copy of that subject's standing |
//!
//! A window with the id `h` is kept in the attributes `h.i` (its newest bucket), `h.n` (what was
//! counted there), `h.s` (what counts in all, as of that bucket), `h.q` (what was counted in the
//! bucket before it) and `h.p` (which bucket that was, and all older ones that still count; of a month
//! the two before that, which do not).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::limits::{Subject, Told};

pub(crate) const POLICY_PK: &str = "POLICY";
pub(crate) const POLICY_SK: &str = "CURRENT";
pub(crate) const ADMISSION_SK: &str = "ADMISSION";

pub(crate) const PENDING_PK: &str = "VALKEY";
const PENDING_SK_PREFIX: &str = "PENDING#";

pub(crate) fn pending_sk(subject: &str) -> String {
    format!("{PENDING_SK_PREFIX}{subject}")
}

pub(crate) fn subject_of_pending(sk: &str) -> Option<&str> {
    sk.strip_prefix(PENDING_SK_PREFIX)
}

pub(crate) const VERSION: &str = "v";
pub(crate) const EPOCH: &str = "ep";
pub(crate) const ACTIVE: &str = "active";
pub(crate) const LIVE: &str = "live";

/// The newest period of the user that is closed, by its bucket in the month's window.
pub(crate) const CLOSED: &str = "closed";
/// The last notice to the user of how much of a month is used, as [`told`] writes it.
pub(crate) const TOLD: &str = "told";

/// A notice as a number that rises with the period and, within one, with the threshold.
pub(crate) fn told(told: Told) -> i64 {
    told.period.bucket() * 1_000 + i64::from(told.threshold.percent())
}

/// What the closing of periods keeps of itself.
pub(crate) const POSITIONS_PK: &str = "QUOTA_RESET";

pub(crate) fn position_sk(shard: u8) -> String {
    format!("SHARD#{shard}")
}

pub(crate) fn subject_pk(subject: &Subject) -> String {
    subject.to_string()
}

pub(crate) fn user_pk(user: UserId) -> String {
    subject_pk(&Subject::User(user))
}

/// What makes the credentials of a user valid.
#[derive(Serialize, Deserialize)]
pub(crate) struct StandingItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    /// Raised by every change of this.
    pub(crate) v: u64,
    pub(crate) ep: u64,
    pub(crate) active: bool,
    /// The sessions that have not ended, in their short form.
    #[serde(
        with = "serde_dynamo::string_set",
        skip_serializing_if = "BTreeSet::is_empty",
        default
    )]
    pub(crate) live: BTreeSet<String>,
}

/// What is kept of a user's periods, beside the month's window.
#[derive(Deserialize)]
pub(crate) struct PeriodsItem {
    #[serde(default)]
    pub(crate) closed: Option<i64>,
    #[serde(default)]
    pub(crate) told: Option<i64>,
}

/// How far the users of a shard were gone through when time was up.
#[derive(Serialize, Deserialize)]
pub(crate) struct PositionItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) after: UserId,
    pub(crate) ttl: i64,
}

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
