//! Failed sign-ins, handed to the audit log after the answers.
//!
//! What counts as one decides the function that signs people in. Counting is one short lock; the
//! entry of a minute is written by whoever flushes, and no answer waits for it. A process that is
//! killed takes with it what it counted since its last flush, which is a minute, or more where an
//! instance is frozen between requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::audit::{AuditEntry, SignInFailure, SignInFailures};
use crate::clock::{Clock, Timestamp};
use crate::errors::chain;
use crate::stores::UserStore;

/// How often a process that is never frozen looks for minutes that are over.
const LOOK: Duration = Duration::from_secs(1);

/// Counts the failed sign-ins of a process. Cheap to clone.
#[derive(Clone)]
pub struct FailedSignIns(Arc<Inner>);

struct Inner {
    counted: SignInFailures,
    users: UserStore,
    clock: Clock,
    /// Held by whoever writes, so that an entry is with one writer alone.
    writing: tokio::sync::Mutex<()>,
    is_store_away: AtomicBool,
}

impl FailedSignIns {
    /// Failures whose entries are left in the outbox of `users`.
    pub fn new(users: UserStore, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            counted: SignInFailures::default(),
            users,
            clock,
            writing: tokio::sync::Mutex::default(),
            is_store_away: AtomicBool::new(false),
        }))
    }

    pub fn count(&self, failure: SignInFailure) {
        self.0.counted.count(failure, self.0.clock.now());
    }

    /// Writes the entries of the minutes that are over.
    pub async fn flush_if_due(&self) {
        self.write_while(SignInFailures::due).await;
    }

    /// Writes all entries, the running minute's included: the process ends.
    pub async fn flush(&self) {
        self.write_while(SignInFailures::left).await;
    }

    /// Flushes whenever it is time, for a process that is never frozen. Runs until it is dropped.
    pub async fn run(self) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.flush_if_due().await;
        }
    }

    async fn write_while(&self, next: impl Fn(&SignInFailures, Timestamp) -> Option<AuditEntry>) {
        let Inner {
            counted,
            users,
            clock,
            writing,
            is_store_away,
        } = &*self.0;
        let _turn = writing.lock().await;
        while let Some(entry) = next(counted, clock.now()) {
            match users.leave_entry(&entry).await {
                Ok(()) => {
                    counted.written(&entry);
                    is_store_away.store(false, Ordering::Relaxed);
                }
                Err(error) => {
                    if !is_store_away.swap(true, Ordering::Relaxed) {
                        let cause = chain(&error);
                        tracing::error!(cause, "failed sign-ins cannot be told to the audit log");
                    }
                    return;
                }
            }
        }
    }
}
