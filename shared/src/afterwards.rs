//! Work that is done after an answer has gone: nobody waits for it, and it is finished before the
//! process is frozen or ends.
//!
//! What has to be done even if the process is killed does not belong here.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many pieces of work are under way at a time. Whoever brings one more waits for a place.
const AT_A_TIME: usize = 256;

/// The work of a process. Cheap to clone.
#[derive(Clone)]
pub struct Afterwards {
    tasks: TaskTracker,
    places: Arc<Semaphore>,
}

impl Default for Afterwards {
    fn default() -> Self {
        let tasks = TaskTracker::new();
        // It never closes again: `wait` then means that nothing is under way.
        tasks.close();
        Self {
            tasks,
            places: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

impl Afterwards {
    /// Begins `work` beside the request; returns at once unless too much is under way.
    pub async fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        self.tasks.spawn(async move {
            work.await;
            drop(place);
        });
    }

    /// Returns when nothing is under way.
    pub async fn done(&self) {
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_was_begun_is_finished_when_it_is_said_to_be_done() {
        let afterwards = Afterwards::default();
        let finished = Arc::new(AtomicUsize::new(0));
        for _ in 0..AT_A_TIME * 2 {
            let finished = Arc::clone(&finished);
            let work = async move {
                tokio::task::yield_now().await;
                finished.fetch_add(1, Ordering::Relaxed);
            };
            afterwards.begin(work).await;
        }

        afterwards.done().await;

        assert_eq!(finished.load(Ordering::Relaxed), AT_A_TIME * 2);
    }

    #[tokio::test]
    async fn nothing_under_way_is_done_at_once_and_more_can_be_begun_afterwards() {
        let afterwards = Afterwards::default();
        afterwards.done().await;
        let (told, heard) = tokio::sync::oneshot::channel();

        afterwards
            .begin(async move { told.send(()).unwrap() })
            .await;
        afterwards.done().await;

        heard.await.unwrap();
    }
}
