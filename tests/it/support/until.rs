//! Waiting for what happens by itself: the one place where a test lets time pass between two looks.

use std::time::{Duration, Instant};

/// More than anything takes that happens by itself, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until there is what is waited for, and fails with what there was instead if it never is.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => assert!(begun.elapsed() < PATIENCE, "{instead}"),
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
