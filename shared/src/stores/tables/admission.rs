//! The `admission` table: what decides whether a request is let in.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | a subject: `USER#<user>`, `IP#<address>`, ... | `ADMISSION` | the subject's windows and, of a user, [`StandingItem`] |
//! | `POLICY` | `CURRENT` | [`PolicyItem`]: the owner's policy; absent while the built-in one holds |
//! | `VALKEY` | `PENDING#<subject>` | word that Valkey may still hold a copy of that subject's standing |
//!
//! A window with the id `h` is kept in the attributes `h.i` (its newest bucket), `h.n` (what was
//! counted there), `h.s` (what counts in all, as of that bucket), `h.q` (what was counted in the
//! bucket before it) and `h.p` (which bucket that was, and all older ones that still count).
//! What an admin's reset took out of a month stands beside it, in [`forgiven`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::limits::Subject;

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
/// How often an admin has reset the windows; absent while nobody has. What Valkey counted under an
/// older number counts no more.
pub(crate) const RESETS: &str = "rs";
const FORGIVEN_PREFIX: &str = "m.f.";

/// What was admitted in a month, as its window counts months, and is no longer in the window
/// because an admin reset it. It stays charged: what was admitted in all is the sum of both.
pub(crate) fn forgiven(month: i64) -> String {
    format!("{FORGIVEN_PREFIX}{month}")
}

/// The month of an attribute that [`forgiven`] named.
pub(crate) fn month_of_forgiven(name: &str) -> Option<i64> {
    name.strip_prefix(FORGIVEN_PREFIX)?.parse().ok()
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
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub(crate) rs: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "this is the form that serde calls"
)]
fn is_none_yet(resets: &u64) -> bool {
    *resets == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forgiven_names_its_month_and_no_window_does() {
        assert_eq!(month_of_forgiven(&forgiven(24_322)), Some(24_322));
        for name in ["m.f", "m.f.", "m.i", "m.s", "h.i", "k7m.f.1"] {
            assert_eq!(month_of_forgiven(name), None, "{name}");
        }
    }
}
