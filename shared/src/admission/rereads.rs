//! When a caller who is known in an older form is read anew, and when that is given up.
//!
//! As a rule once: what was read is current when it is asked with. Only changes of the same user
//! that follow one another more quickly than they are read lead any further, and those come from
//! requests whose number is not known here. So whoever is overtaken waits, longer each time and
//! each for a time of its own, until the others are through.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::sleep;

use super::Denied;

/// The first time after the one that goes without a pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// How often at most; each time costs a read and a question.
const MAX_REREADS: usize = 32;
/// How long a request waits in all before it is told to come again: what its handler may take is
/// left of a function's ten seconds.
const AT_MOST: Duration = Duration::from_secs(5);

/// The rereads of one request.
pub(super) struct Rereads {
    began: Instant,
    is_first: bool,
    pauses: ExponentialBackoff,
}

impl Rereads {
    pub(super) fn new() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(MAX_REREADS)
            .with_jitter();
        Self {
            began: Instant::now(),
            is_first: true,
            pauses: pauses.build(),
        }
    }

    /// Returns when the caller is to be read anew, and refuses when that has been done enough.
    pub(super) async fn next(&mut self) -> Result<(), Denied> {
        if std::mem::take(&mut self.is_first) {
            return Ok(());
        }
        let is_in_time = |pause: &Duration| self.began.elapsed() + *pause <= AT_MOST;
        let pause = self.pauses.next().filter(is_in_time);
        sleep(pause.ok_or(Denied::Throttled)?).await;
        Ok(())
    }
}
