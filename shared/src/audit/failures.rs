//! Sign-ins that failed, counted by the minute.
//!
//! They are counted in memory and become one entry for each minute of a process, so that whoever
//! guesses passwords writes no log, and nobody's answer waits for it. A process that is killed takes
//! what it has counted since its last flush with it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Action, Actor, AuditEntry};
use crate::clock::Timestamp;

const MINUTE_MILLIS: i64 = 60_000;
/// How long an entry waits while it cannot be written. Within this time a write that may have
/// happened can be made again without harm; afterwards the store has forgotten it.
const MAX_WAIT: Duration = Duration::from_mins(9);

/// How a sign-in failed. Who is unknown, who is inactive and whose password is wrong are not told
/// apart here either.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignInFailure {
    Refused,
    RateLimited,
}

/// The failures that this process has seen and not handed on.
#[derive(Default)]
pub struct SignInFailures(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    minute: Option<Minute>,
    waiting: VecDeque<AuditEntry>,
}

struct Minute {
    number: i64,
    refused: u64,
    rate_limited: u64,
}

impl SignInFailures {
    pub fn count(&self, failure: SignInFailure, now: Timestamp) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.close(now, Closing::EndedMinutes);
        let minute = counted.minute.get_or_insert(Minute {
            number: number(now),
            refused: 0,
            rate_limited: 0,
        });
        match failure {
            SignInFailure::Refused => minute.refused += 1,
            SignInFailure::RateLimited => minute.rate_limited += 1,
        }
    }

    /// The oldest entry of a minute that has ended, until it is [`Self::written`].
    pub fn due(&self, now: Timestamp) -> Option<AuditEntry> {
        self.first(now, Closing::EndedMinutes)
    }

    /// As [`Self::due`], the running minute included: the process ends.
    pub fn left(&self, now: Timestamp) -> Option<AuditEntry> {
        self.first(now, Closing::All)
    }

    /// An entry was written, and is not handed out again.
    pub fn written(&self, entry: &AuditEntry) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.waiting.retain(|waiting| waiting.id != entry.id);
    }

    fn first(&self, now: Timestamp, closing: Closing) -> Option<AuditEntry> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.close(now, closing);
        counted.waiting.front().cloned()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    EndedMinutes,
    All,
}

impl Counted {
    fn close(&mut self, now: Timestamp, closing: Closing) {
        let is_over = |minute: &mut Minute| closing == Closing::All || minute.number != number(now);
        if let Some(minute) = self.minute.take_if(is_over) {
            self.waiting.push_back(minute.entry(now));
        }
        while let Some(entry) = self
            .waiting
            .pop_front_if(|entry| now.since(entry.at) > MAX_WAIT)
        {
            let minute = entry.details.get("minute").map(ToString::to_string);
            tracing::warn!(minute, "failed sign-ins were not written to the audit log");
        }
    }
}

impl Minute {
    /// The entry's own time is when it is made, which may be long after the minute where a process
    /// is frozen between requests: whoever sweeps the outbox looks for young entries.
    fn entry(&self, now: Timestamp) -> AuditEntry {
        let minute = Timestamp::from_millis(self.number * MINUTE_MILLIS);
        AuditEntry::new(now, Actor::Anonymous, Action::SignInsFailed, "sign-in")
            .with("minute", minute.to_string())
            .with("refused", self.refused)
            .with("rate_limited", self.rate_limited)
    }
}

fn number(now: Timestamp) -> i64 {
    now.millis().div_euclid(MINUTE_MILLIS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn later(seconds: u64) -> Timestamp {
        T.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn the_failures_of_a_minute_are_one_entry_once_it_is_over() {
        let failures = SignInFailures::default();
        failures.count(SignInFailure::Refused, T);
        failures.count(SignInFailure::Refused, later(1));
        failures.count(SignInFailure::RateLimited, later(2));

        assert_eq!(failures.due(later(3)), None);
        let entry = failures.due(later(60)).unwrap();

        assert_eq!(entry.at, later(60));
        assert_eq!(
            json!(entry.details),
            json!({"minute": "2026-11-20T20:43:00Z", "refused": 2, "rate_limited": 1})
        );
    }

    #[test]
    fn an_entry_is_handed_out_unchanged_until_it_is_written() {
        let failures = SignInFailures::default();
        failures.count(SignInFailure::Refused, T);

        let first = failures.due(later(60)).unwrap();
        let again = failures.due(later(120)).unwrap();
        failures.written(&first);

        assert_eq!(again, first);
        assert_eq!(failures.due(later(180)), None);
    }

    #[test]
    fn a_failure_of_the_next_minute_is_not_counted_in_the_one_before() {
        let failures = SignInFailures::default();
        failures.count(SignInFailure::Refused, T);
        failures.count(SignInFailure::Refused, later(60));

        let first = failures.due(later(61)).unwrap();
        failures.written(&first);

        assert_eq!(first.details["refused"], 1);
        assert_eq!(failures.due(later(61)), None);
        assert_eq!(failures.left(later(61)).unwrap().details["refused"], 1);
    }

    #[test]
    fn what_could_not_be_written_for_nine_minutes_is_given_up() {
        let failures = SignInFailures::default();
        failures.count(SignInFailure::Refused, T);
        failures.due(later(60));
        failures.count(SignInFailure::Refused, later(120));

        let in_time = failures.due(later(60 + 540)).unwrap();
        let too_late = failures.due(later(60 + 541)).unwrap();

        assert_eq!(in_time.details["minute"], "2026-11-20T20:43:00Z");
        assert_eq!(too_late.details["minute"], "2026-11-20T20:45:00Z");
    }

    #[test]
    fn a_process_that_was_frozen_for_hours_still_tells_of_its_last_minute() {
        let failures = SignInFailures::default();
        failures.count(SignInFailure::Refused, T);

        let entry = failures.due(later(5 * 60 * 60)).unwrap();

        assert_eq!(entry.at, later(5 * 60 * 60));
        assert_eq!(entry.details["minute"], "2026-11-20T20:43:00Z");
    }
}
