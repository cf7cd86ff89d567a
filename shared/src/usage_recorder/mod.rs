//! The recorder: takes one record per request that was let in, and writes them in batches after
//! the answers.
//!
//! No request ever waits for it or fails because of it: recording is one short lock, and what
//! becomes of a write is nobody's concern but the next write's. What is still here when a process
//! is killed is lost; what is charged is counted elsewhere, where requests are admitted.

mod buffer;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::buffer::{Buffer, FULL_BATCH};
use crate::clock::Clock;
use crate::config::{self, ConfigError, Environment};
use crate::errors::chain;
use crate::ids::BatchId;
use crate::stores::{DynamoDb, StoreError, UsageStore};
use crate::usage::UsageRecord;

/// How long a write may take. Nothing waits for it but the instance that writes, which is not free for
/// its next request meanwhile.
const WRITE_BUDGET: Duration = Duration::from_millis(250);

/// Records that are written together, under an id by which the store knows them again.
#[derive(Debug)]
struct Batch {
    id: BatchId,
    records: Vec<UsageRecord>,
}

/// Takes records from every request of a process. Cheap to clone.
#[derive(Clone)]
pub struct UsageRecorder(Arc<Inner>);

struct Inner {
    store: UsageStore,
    clock: Clock,
    buffer: Mutex<Buffer>,
    /// Held by whoever writes, so that a batch is with one writer alone.
    writing: tokio::sync::Mutex<()>,
    /// Told when there is something to wait for, or to write.
    news: Notify,
    is_store_away: AtomicBool,
    lost: AtomicU64,
}

impl UsageRecorder {
    fn new(store: UsageStore, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            buffer: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            news: Notify::new(),
            is_store_away: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        }))
    }

    /// A recorder for the environment's usage table.
    pub fn from_environment(
        env: &Environment,
        dynamodb: &DynamoDb,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let table = config::usage_table(env)?;
        let store = UsageStore::new(&dynamodb.within(WRITE_BUDGET), table);
        Ok(Self::new(store, clock))
    }

    /// Takes a record. It is written later, by whoever flushes.
    pub fn record(&self, record: UsageRecord) {
        let now = self.0.clock.now();
        let (dropped, waiting) = {
            let mut buffer = self.buffer();
            (buffer.push(record, now), buffer.waiting())
        };
        if dropped {
            self.count_lost(1);
        }
        if waiting == 1 || waiting == FULL_BATCH {
            self.0.news.notify_one();
        }
    }

    /// Writes what is due: when 25 records wait, or one has waited for a second.
    pub async fn flush_if_due(&self) {
        self.write_while(|| self.due_in() == Some(Duration::ZERO))
            .await;
    }

    /// Writes everything that waits, until a write fails.
    pub async fn flush(&self) {
        self.write_while(|| true).await;
    }

    async fn write_while(&self, is_wanted: impl Fn() -> bool) {
        let _turn = self.0.writing.lock().await;
        while is_wanted()
            && let Some(batch) = self.next_batch()
        {
            if !self.write(batch).await {
                return;
            }
        }
    }

    /// Flushes whenever it is time, for a process that is never frozen. Runs until it is dropped.
    pub async fn run(self) {
        loop {
            match self.due_in() {
                Some(Duration::ZERO) => self.flush_if_due().await,
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, self.0.news.notified()).await;
                }
                None => self.0.news.notified().await,
            }
        }
    }

    /// How many records are not known to be written.
    pub fn unwritten(&self) -> usize {
        self.buffer().unwritten()
    }

    /// How many records were given up: pushed out by newer ones while no write succeeded, or
    /// refused by the store.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Whether a write was confirmed. One that may have happened is tried again with the next
    /// flush, under the same id.
    async fn write(&self, batch: Batch) -> bool {
        // A flush that is given up in the middle leaves the batch as one that may be written.
        let mut held = Held {
            recorder: self,
            batch: Some(batch),
        };
        let Some(batch) = &held.batch else {
            return false;
        };
        match self.0.store.append(batch.id, &batch.records).await {
            Ok(()) => {
                tracing::debug!(records = batch.records.len(), "usage records are written");
                held.batch = None;
                self.buffer().settle();
                self.notice_back();
                true
            }
            Err(error) if error.is_transient() => {
                self.notice_away(&error);
                false
            }
            // What is refused once is refused forever, and would keep the rest from being written.
            Err(error) => {
                self.notice_away(&error);
                let refused = held.batch.take();
                self.buffer().settle();
                self.count_lost(refused.map_or(0, |batch| batch.records.len() as u64));
                false
            }
        }
    }

    fn next_batch(&self) -> Option<Batch> {
        let now = self.0.clock.now();
        self.buffer().next_batch(now)
    }

    fn due_in(&self) -> Option<Duration> {
        let now = self.0.clock.now();
        self.buffer().due_in(now)
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        let buffer = self.0.buffer.lock();
        buffer.unwrap_or_else(PoisonError::into_inner)
    }

    fn notice_away(&self, error: &StoreError) {
        if !self.0.is_store_away.swap(true, Ordering::Relaxed) {
            let cause = chain(error);
            tracing::error!(cause, "usage records cannot be written; requests go on");
        }
    }

    fn notice_back(&self) {
        if self.0.is_store_away.swap(false, Ordering::Relaxed) {
            let lost = self.lost();
            tracing::info!(lost, "usage records are written again");
        }
    }

    fn count_lost(&self, records: u64) {
        if self.0.lost.fetch_add(records, Ordering::Relaxed) == 0 {
            tracing::error!("usage records are lost: more came than could be written");
        }
    }
}

/// A batch that is being written.
struct Held<'a> {
    recorder: &'a UsageRecorder,
    batch: Option<Batch>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            let now = self.recorder.0.clock.now();
            self.recorder.buffer().put_back(batch, now);
        }
    }
}
