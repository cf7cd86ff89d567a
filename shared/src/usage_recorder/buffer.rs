//! The records that wait to be written, and when it is time.
//!
//! It is bounded whatever happens to the store: of more records than it holds, the oldest go.

use std::collections::VecDeque;
use std::time::Duration;

use super::Batch;
use crate::clock::Timestamp;
use crate::ids::BatchId;
use crate::usage::UsageRecord;

/// As many records as are written without waiting for more. They cost one write together.
pub(super) const FULL_BATCH: usize = 25;
/// How long a record waits for others at most.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(1);
/// How long after a failed write the next is tried.
pub(super) const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How many records wait at most: about 200 KB.
pub(super) const MAX_WAITING: usize = 1_000;

/// Records on their way to the store.
#[derive(Default)]
pub(super) struct Buffer {
    /// The oldest first, each with the time since which it waits.
    waiting: VecDeque<(Timestamp, UsageRecord)>,
    /// A batch that may or may not have been written. It goes first and keeps its id, by which the
    /// store knows it again.
    unconfirmed: Option<Batch>,
    /// How many records are with the writer.
    being_written: usize,
    /// No write is tried before.
    paused_until: Option<Timestamp>,
}

impl Buffer {
    /// Takes a record in, and returns whether an older one had to go for it.
    pub(super) fn push(&mut self, record: UsageRecord, now: Timestamp) -> bool {
        let is_full = self.waiting.len() >= MAX_WAITING;
        if is_full {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now, record));
        is_full
    }

    /// How long until something is to be written: zero when it is time, `None` when nothing waits.
    pub(super) fn due_in(&self, now: Timestamp) -> Option<Duration> {
        let paused = self
            .paused_until
            .map_or(Duration::ZERO, |until| until.since(now));
        let until_due = match self.waiting.front() {
            _ if self.unconfirmed.is_some() => Duration::ZERO,
            None => return None,
            Some(_) if self.waiting.len() >= FULL_BATCH => Duration::ZERO,
            Some((since, _)) => since.plus(MAX_WAIT).since(now),
        };
        Some(until_due.max(paused))
    }

    /// The next batch to write: the one that may have been written already, or all that waits.
    pub(super) fn next_batch(&mut self, now: Timestamp) -> Option<Batch> {
        let batch = self.unconfirmed.take().or_else(|| {
            let records: Vec<UsageRecord> = self.waiting.drain(..).map(|(_, r)| r).collect();
            (!records.is_empty()).then(|| Batch {
                id: BatchId::new(now),
                records,
            })
        })?;
        self.being_written = batch.records.len();
        Some(batch)
    }

    /// The batch that was taken last is done with: written, or refused for good.
    pub(super) fn settle(&mut self) {
        self.being_written = 0;
        self.paused_until = None;
    }

    /// Nobody knows whether this batch has been written.
    pub(super) fn put_back(&mut self, batch: Batch, now: Timestamp) {
        self.being_written = 0;
        self.unconfirmed = Some(batch);
        self.paused_until = Some(now.plus(PAUSE_AFTER_FAILURE));
    }

    /// How many records wait for their first write.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many records are not known to be written.
    pub(super) fn unwritten(&self) -> usize {
        let unconfirmed = self.unconfirmed.as_ref();
        let unconfirmed = unconfirmed.map_or(0, |batch| batch.records.len());
        self.waiting.len() + self.being_written + unconfirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn record(number: u16) -> UsageRecord {
        UsageRecord {
            at: T,
            caller: None,
            method: "GET".into(),
            path: "/api/v1/auth/me".into(),
            status: number,
            duration_ms: 1,
            charged: 1,
        }
    }

    fn numbers(batch: &Batch) -> Vec<u16> {
        batch.records.iter().map(|record| record.status).collect()
    }

    fn filled(records: u16) -> Buffer {
        let mut buffer = Buffer::default();
        for number in 0..records {
            buffer.push(record(number), T);
        }
        buffer
    }

    #[test]
    fn nothing_is_due_while_nothing_waits() {
        assert_eq!(Buffer::default().due_in(T), None);
        assert!(Buffer::default().next_batch(T).is_none());
    }

    #[test]
    fn a_record_is_due_a_second_after_it_came_however_many_follow() {
        let mut buffer = filled(1);
        let half = T.plus(Duration::from_millis(500));

        buffer.push(record(1), half);

        assert_eq!(buffer.due_in(T), Some(MAX_WAIT));
        assert_eq!(buffer.due_in(half), Some(Duration::from_millis(500)));
        assert_eq!(buffer.due_in(T.plus(MAX_WAIT)), Some(Duration::ZERO));
    }

    #[test]
    fn twenty_five_records_are_due_at_once() {
        assert_eq!(filled(24).due_in(T), Some(MAX_WAIT));
        assert_eq!(filled(25).due_in(T), Some(Duration::ZERO));
    }

    #[test]
    fn all_that_waits_is_one_batch_in_the_order_in_which_it_came() {
        let mut buffer = filled(60);

        let batch = buffer.next_batch(T).unwrap();

        assert_eq!(numbers(&batch), (0..60).collect::<Vec<_>>());
        assert_eq!((buffer.unwritten(), buffer.due_in(T)), (60, None));
        buffer.settle();
        assert_eq!(buffer.unwritten(), 0);
    }

    #[test]
    fn a_batch_that_may_have_been_written_is_next_with_its_id_after_a_pause() {
        let mut buffer = filled(30);
        let first = buffer.next_batch(T).unwrap();
        let (id, count) = (first.id, first.records.len());

        buffer.push(record(30), T);
        buffer.put_back(first, T);
        let during = buffer.due_in(T);
        let after = T.plus(PAUSE_AFTER_FAILURE);
        let again = buffer.next_batch(after).unwrap();

        assert_eq!(during, Some(PAUSE_AFTER_FAILURE));
        assert_eq!((again.id, again.records.len()), (id, count));
        buffer.settle();
        assert_ne!(buffer.next_batch(after).unwrap().id, id);
    }

    #[test]
    fn of_more_records_than_it_holds_the_oldest_go() {
        let mut buffer = filled(1_000);

        let dropped = [buffer.push(record(1_000), T), buffer.push(record(1_001), T)];

        assert_eq!(dropped, [true, true]);
        assert_eq!(buffer.unwritten(), MAX_WAITING);
        assert_eq!(buffer.next_batch(T).unwrap().records[0].status, 2);
    }
}
