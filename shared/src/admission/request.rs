//! What is noted on the way of one request: for its answer's headers, and for the record of it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::admission::Degraded;
use crate::clock::Timestamp;
use crate::limits::LimitReport;
use crate::usage::UsageCaller;

/// The notes of one request.
#[derive(Clone, Default)]
pub struct RequestNotes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    limits: LimitReport,
    degraded: Degraded,
    refused_at: Option<Timestamp>,
    let_in: Vec<LetIn>,
}

/// Somebody's request that was let in, and what that counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LetIn {
    /// `None` at a route that is open to everybody.
    pub caller: Option<UsageCaller>,
    pub charged: u32,
}

impl RequestNotes {
    /// The limits that applied, and what was away.
    pub fn taken(&self) -> (LimitReport, Degraded) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut noted.limits), noted.degraded)
    }

    /// The moment from which a refusal told how long to wait.
    pub fn refused_at(&self) -> Option<Timestamp> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.refused_at
    }

    /// Who was let in: nobody where the request was refused or is counted nowhere, and two where
    /// one asked for another's key.
    pub fn let_in(&self) -> Vec<LetIn> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut noted.let_in)
    }

    fn add(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Notes for the request that the current task serves; outside of one they go nowhere.
pub mod notes {
    use super::{LetIn, RequestNotes};
    use crate::admission::Degraded;
    use crate::clock::Timestamp;
    use crate::limits::LimitReport;

    tokio::task_local! {
        static NOTES: RequestNotes;
    }

    /// Serves a request whose notes are taken in `notes`.
    pub async fn within<F: Future>(notes: RequestNotes, serve: F) -> F::Output {
        NOTES.scope(notes, serve).await
    }

    /// These limits applied.
    pub fn limits(report: LimitReport) {
        let _ = NOTES.try_with(|notes| notes.add(|noted| noted.limits.extend(report)));
    }

    /// These limits applied, and how long to wait for them was told from this moment on.
    pub fn refusal(report: LimitReport, now: Timestamp) {
        limits(report);
        let _ = NOTES.try_with(|notes| notes.add(|noted| noted.refused_at = Some(now)));
    }

    /// This was let in.
    pub fn let_in(let_in: LetIn) {
        let _ = NOTES.try_with(|notes| notes.add(|noted| noted.let_in.push(let_in)));
    }

    /// As much of what the request counted was given back: its answer and its record say what is
    /// left.
    pub fn given_back(cost: u64, now: Timestamp) {
        let _ = NOTES.try_with(|notes| notes.add(|noted| noted.limits.give_back(cost, now)));
        recorded_less(cost);
    }

    /// The record of the request says so much less than it was let in for.
    pub fn recorded_less(cost: u64) {
        let less = u32::try_from(cost).unwrap_or(u32::MAX);
        let _ = NOTES.try_with(|notes| {
            notes.add(|noted| {
                if let Some(let_in) = noted.let_in.last_mut() {
                    let_in.charged = let_in.charged.saturating_sub(less);
                }
            });
        });
    }

    /// This was away.
    pub fn degraded(degraded: Degraded) {
        let _ = NOTES.try_with(|notes| {
            notes.add(|noted| {
                noted.degraded.valkey |= degraded.valkey;
                noted.degraded.dynamodb |= degraded.dynamodb;
                noted.degraded.revocation |= degraded.revocation;
            });
        });
    }
}
