//! What is noted on the way of one request, for its answer's headers.

use std::sync::{Arc, Mutex, PoisonError};

use crate::admission::Degraded;
use crate::limits::LimitReport;

/// The notes of one request.
#[derive(Clone, Default)]
pub struct RequestNotes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    limits: LimitReport,
    degraded: Degraded,
}

impl RequestNotes {
    /// The limits that applied, and what was away.
    pub fn taken(&self) -> (LimitReport, Degraded) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut noted.limits), noted.degraded)
    }

    fn add(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Notes for the request that the current task serves; outside of one they go nowhere.
pub mod notes {
    use super::RequestNotes;
    use crate::admission::Degraded;
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
