//! The `admission` table: what decides whether a request is let in.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | a subject: `USER#<user>`, `IP#<address>`, ... | `ADMISSION` | the subject's windows and, of a user, [`StandingItem`] |
//! | a user, or `EMAIL#<digest>` | `IDEMPOTENCY#<digest>` | [`IdempotencyItem`]: a request that carried an `Idempotency-Key`, and its answer; 24 hours |
//! | `POLICY` | `CURRENT` | [`PolicyItem`]: the owner's policy; absent while the built-in one holds |
//! | `QUOTA_RESET` | `SHARD#<shard>` | [`PositionItem`]: where the closing of periods is to go on |
//! | `UPSTREAM#<name>` | `BREAKER` | [`BreakerItem`]: the circuit breaker of an upstream; absent while it never failed |
//! | `VALKEY` | `PENDING#<subject>` | word that Valkey may still hold a copy of that subject's standing |
//!
//! A window with the id `h` is kept in the attributes `h.i` (its newest bucket), `h.n` (what was
//! counted there), `h.s` (what counts in all, as of that bucket), `h.q` (what was counted in the
//! bucket before it) and `h.p` (which bucket that was, and all older ones that still count; of a month
//! the two before that, which do not).
//! What an admin's reset took out of a month stands beside it, in [`forgiven`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::auth::one_time_token::sha256_base64;
use crate::clock::Timestamp;
use crate::idempotency::{Attempt, AttemptId, Earlier, Fingerprint, KeyUser, RecordId};
use crate::ids::UserId;
use crate::limits::{Subject, Told};
use crate::stores::StoredBreaker;
use crate::upstreams::{Breaker, BreakerState, TrialId};

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

/// Below whom or what it is about, so that all that is kept of a user can be found.
pub(crate) fn idempotency_pk(record: &RecordId) -> String {
    match &record.user {
        KeyUser::Sessions(user) | KeyUser::ApiKey(user, _) => user_pk(*user),
        KeyUser::Email(email) => {
            format!("EMAIL#{}", sha256_base64(email.as_str().as_bytes()))
        }
    }
}

pub(crate) fn idempotency_sk(record: &RecordId) -> String {
    format!("IDEMPOTENCY#{}", record.digest)
}

/// A request that carried an `Idempotency-Key`: running while it has no answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct IdempotencyItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    /// Which try of it this is.
    pub(crate) attempt: String,
    #[serde(with = "serde_bytes")]
    pub(crate) fingerprint: Vec<u8>,
    /// When the next try may take this one's place, in milliseconds.
    pub(crate) leased_until: i64,
    /// Encrypted.
    #[serde(with = "serde_bytes", skip_serializing_if = "Option::is_none", default)]
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) ttl: i64,
}

impl From<&Attempt> for IdempotencyItem {
    fn from(attempt: &Attempt) -> Self {
        Self {
            pk: idempotency_pk(&attempt.record),
            sk: idempotency_sk(&attempt.record),
            attempt: attempt.id.as_str().to_owned(),
            fingerprint: attempt.fingerprint.as_bytes().to_vec(),
            leased_until: attempt.leased_until().millis(),
            answer: None,
            ttl: attempt.kept_until().seconds(),
        }
    }
}

impl From<IdempotencyItem> for Earlier {
    fn from(item: IdempotencyItem) -> Self {
        Self {
            attempt: AttemptId::stored(item.attempt),
            fingerprint: Fingerprint::stored(item.fingerprint),
            sealed: item.answer,
        }
    }
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

pub(crate) const BREAKER_SK: &str = "BREAKER";

pub(crate) fn breaker_pk(upstream: &str) -> String {
    format!("UPSTREAM#{upstream}")
}

/// The circuit breaker of an upstream. Times are in milliseconds.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct BreakerItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    /// Raised by every change of this.
    pub(crate) v: u64,
    /// When calls failed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failures: Vec<i64>,
    /// Absent while it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opened_at: Option<i64>,
    /// While it is open, when the trial is due; while one is under way, when that is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial_at: Option<i64>,
    /// The trial that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<u64>,
    pub(crate) ttl: i64,
}

impl BreakerItem {
    pub(crate) fn new(upstream: &str, stored: &StoredBreaker, kept_until: Timestamp) -> Self {
        let StoredBreaker { breaker, version } = stored;
        let trial = match breaker.state {
            BreakerState::HalfOpen { trial, .. } => Some(trial.0),
            BreakerState::Closed | BreakerState::Open { .. } => None,
        };
        Self {
            pk: breaker_pk(upstream),
            sk: BREAKER_SK.to_owned(),
            v: *version,
            failures: breaker.failures.iter().map(|at| at.millis()).collect(),
            opened_at: breaker.opened_at().map(Timestamp::millis),
            trial_at: breaker.next_trial_at().map(Timestamp::millis),
            trial,
            ttl: kept_until.seconds(),
        }
    }
}

impl From<BreakerItem> for StoredBreaker {
    fn from(item: BreakerItem) -> Self {
        let at = Timestamp::from_millis;
        let state = match (item.opened_at, item.trial_at, item.trial) {
            (Some(opened_at), Some(trial_at), None) => BreakerState::Open {
                opened_at: at(opened_at),
                trial_at: at(trial_at),
            },
            (Some(opened_at), Some(until), Some(trial)) => BreakerState::HalfOpen {
                opened_at: at(opened_at),
                trial: TrialId(trial),
                until: at(until),
            },
            _ => BreakerState::Closed,
        };
        Self {
            breaker: Breaker {
                state,
                failures: item.failures.into_iter().map(at).collect(),
            },
            version: item.v,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_dynamo::AttributeValue;

    use super::*;
    use crate::ids::KeyId;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn record(user: KeyUser) -> RecordId {
        let digest = "digest".to_owned();
        RecordId { user, digest }
    }

    #[test]
    fn a_try_survives_the_round_trip_through_its_item() {
        let fingerprint = Fingerprint::stored(vec![0, 1, 255]);
        let user = KeyUser::Sessions(UserId::new(T));
        let attempt = Attempt::begin(record(user), fingerprint, T);
        let item = IdempotencyItem {
            answer: Some(vec![0, 7, 255]),
            ..IdempotencyItem::from(&attempt)
        };

        let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(item).unwrap();
        let item: IdempotencyItem = serde_dynamo::from_item(item).unwrap();
        let times = (item.leased_until, item.ttl);
        let read = Earlier::from(item);

        assert_eq!(read.attempt, attempt.id);
        assert!(read.fingerprint.is_of_same(&attempt.fingerprint));
        assert_eq!(read.sealed, Some(vec![0, 7, 255]));
        assert_eq!(times, (T.millis() + 30_000, T.seconds() + 86_400));
    }

    #[test]
    fn a_breaker_survives_the_round_trip_through_its_item() {
        let (opened_at, later) = (T, T.plus(std::time::Duration::from_mins(1)));
        let states = [
            BreakerState::Closed,
            BreakerState::Open {
                opened_at,
                trial_at: later,
            },
            BreakerState::HalfOpen {
                opened_at,
                trial: TrialId(u64::MAX),
                until: later,
            },
        ];
        for state in states {
            let failures = vec![T, later];
            let breaker = Breaker { state, failures };
            let stored = StoredBreaker {
                breaker,
                version: 7,
            };

            let item = BreakerItem::new("library", &stored, later);
            let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(item).unwrap();
            let item: BreakerItem = serde_dynamo::from_item(item).unwrap();

            assert_eq!(
                (item.pk.as_str(), item.sk.as_str()),
                ("UPSTREAM#library", "BREAKER")
            );
            assert_eq!(StoredBreaker::from(item), stored);
        }
    }

    #[test]
    fn a_record_lies_below_the_user_or_the_address_that_it_is_about() {
        let email = |text: &str| {
            let address: crate::auth::EmailAddress = text.parse().unwrap();
            idempotency_pk(&record(KeyUser::Email(address.key())))
        };
        let user = UserId::new(T);

        let by_session = idempotency_pk(&record(KeyUser::Sessions(user)));
        let by_key = idempotency_pk(&record(KeyUser::ApiKey(user, KeyId::new(T))));

        assert_eq!((&by_session, &by_key), (&user_pk(user), &user_pk(user)));
        assert_eq!(email("ADA@example.com"), email("ada@example.com"));
        assert_ne!(email("ada@example.com"), email("bob@example.com"));
        assert!(!email("ada@example.com").contains("ada"));
    }

    #[test]
    fn what_was_forgiven_names_its_month_and_no_window_does() {
        assert_eq!(month_of_forgiven(&forgiven(24_322)), Some(24_322));
        for name in ["m.f", "m.f.", "m.i", "m.s", "h.i", "k7m.f.1"] {
            assert_eq!(month_of_forgiven(name), None, "{name}");
        }
    }
}
