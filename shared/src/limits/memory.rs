//! The engine that counts in this process alone: for classes that fall back to it when no store
//! answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::check::{Ask, Check, Subject, Verdict, WindowId};
use super::window::{Counter, Reading};

/// The most subjects that are remembered; the least recently seen go first.
const MAX_SUBJECTS: u64 = 20_000;
/// An outage that outlasts this lets a subject begin anew.
const MAX_IDLE: Duration = Duration::from_hours(24);

type Counters = HashMap<WindowId, Counter>;

/// Windows in memory.
#[derive(Clone)]
pub struct MemoryEngine {
    subjects: Cache<Subject, Arc<Mutex<Counters>>>,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self {
            subjects: Cache::builder()
                .max_capacity(MAX_SUBJECTS)
                .time_to_idle(MAX_IDLE)
                .build(),
        }
    }
}

impl MemoryEngine {
    /// Decides and counts. It knows nothing of credentials, so a proof is not looked at.
    pub fn decide(&self, ask: &Ask<'_>) -> Verdict {
        let counters = self.subjects.get_with(ask.subject.clone(), Arc::default);
        let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        let readings: Vec<Reading> = ask
            .checks
            .iter()
            .map(|check| {
                let counter = counters.get(&check.id);
                Counter::read(counter, check.window, check.limit, check.cost, ask.now)
            })
            .collect();
        let is_refused = ask
            .checks
            .iter()
            .zip(&readings)
            .any(|(check, reading)| check.refuses(reading));
        if is_refused {
            return Verdict::Refused(readings);
        }
        let counted = ask.checks.iter().zip(readings).map(|(check, reading)| {
            let counter = Counter::counting(
                counters.get(&check.id),
                check.window,
                reading.bucket,
                check.cost,
            );
            counters.insert(check.id.clone(), counter);
            counted(check, reading)
        });
        Verdict::Admitted(counted.collect())
    }

    /// Takes back what was counted for the checks, where `readings` say it was.
    pub fn refund(&self, subject: &Subject, counted: &[(Check, Reading)]) {
        let Some(counters) = self.subjects.get(subject) else {
            return;
        };
        let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        for (check, reading) in counted {
            if let Some(counter) = counters.get_mut(&check.id) {
                counter.refund(reading.bucket, check.cost);
            }
        }
    }
}

/// The reading after the request was counted. What was let through has nothing to wait for.
pub(crate) fn counted(check: &Check, reading: Reading) -> Reading {
    let used = reading.used + check.cost;
    let whole_at = if used == 0 {
        reading.whole_at
    } else {
        reading.whole_at.max(check.window.clear_at(reading.bucket))
    };
    Reading {
        used,
        whole_at,
        admits_at: None,
        ..reading
    }
}
