//! One computation per key at a time in a process: the first caller leads, the others wait for what
//! it brings. A leader that goes away leaves its place to one of them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::entry::StoredEntry;
use super::key::EntryId;

/// What a leader brought.
#[derive(Clone)]
pub(super) enum Landed<E> {
    Stored(Arc<StoredEntry>),
    /// Something that is nobody else's to have.
    Unshared,
    Failed(E),
}

/// What is told to those who wait. Callers of one key may differ in how they fail.
type News = Option<Arc<dyn Any + Send + Sync>>;

/// The computations under way.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<EntryId, watch::Receiver<News>>>>);

/// Whose turn it is.
pub(super) enum Boarding {
    Lead(Flight),
    Follow(watch::Receiver<News>),
}

/// The place of the one who computes.
pub(super) struct Flight {
    flights: Flights,
    id: EntryId,
    news: watch::Sender<News>,
    is_listed: bool,
}

impl Flights {
    pub(super) fn board(&self, id: EntryId) -> Boarding {
        let mut flights = self.lock();
        if let Some(under_way) = flights.get(&id) {
            return Boarding::Follow(under_way.clone());
        }
        let (news, waiting) = watch::channel(None);
        flights.insert(id, waiting);
        Boarding::Lead(Flight {
            flights: self.clone(),
            id,
            news,
            is_listed: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntryId, watch::Receiver<News>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Tells all who wait.
    pub(super) fn land<E: Send + Sync + 'static>(mut self, landed: Landed<E>) {
        // Who comes from now on is not to hear of it.
        self.leave();
        self.news.send_replace(Some(Arc::new(landed)));
    }

    fn leave(&mut self) {
        if std::mem::replace(&mut self.is_listed, false) {
            self.flights.lock().remove(&self.id);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.leave();
    }
}

/// What the leader brings; `None` if it went away, or fails in another way than this caller.
pub(super) async fn landed<E: Clone + 'static>(
    mut waiting: watch::Receiver<News>,
) -> Option<Landed<E>> {
    let news = waiting.wait_for(Option::is_some).await.ok()?;
    news.as_ref()?.downcast_ref::<Landed<E>>().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{CacheKey, CacheName, CacheOwner};

    fn id() -> EntryId {
        let key = CacheKey {
            owner: CacheOwner::Shared,
            name: CacheName::of("query"),
            tags: vec![],
            digest: [0; 32],
        };
        key.id()
    }

    fn led(flights: &Flights) -> Flight {
        match flights.board(id()) {
            Boarding::Lead(flight) => flight,
            Boarding::Follow(_) => panic!("somebody leads"),
        }
    }

    fn followed(flights: &Flights) -> watch::Receiver<News> {
        match flights.board(id()) {
            Boarding::Lead(_) => panic!("nobody leads"),
            Boarding::Follow(waiting) => waiting,
        }
    }

    #[tokio::test]
    async fn who_waits_hears_what_the_leader_brings_and_the_next_one_leads() {
        let flights = Flights::default();
        let flight = led(&flights);
        let waiting = followed(&flights);

        flight.land(Landed::Failed("a reason"));

        let landed = landed::<&str>(waiting).await;
        assert!(matches!(landed, Some(Landed::Failed("a reason"))));
        led(&flights);
    }

    #[tokio::test]
    async fn a_leader_that_goes_away_leaves_its_place() {
        let flights = Flights::default();
        let flight = led(&flights);
        let waiting = followed(&flights);

        drop(flight);

        assert!(landed::<&str>(waiting).await.is_none());
        led(&flights);
    }
}
