//! An entry: a value that nobody here looks into, when it was computed, and for how long it is of
//! use; and its form outside of memory, which says its version and proves that it is whole.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::key::{EntryId, Label};
use crate::clock::Timestamp;

/// The largest value that is kept anywhere: what an upstream may answer, and its description.
pub(crate) const MAX_VALUE: usize = 5 * 1024 * 1024;
/// The form of the bytes. A reader of another version finds nothing in them.
const VERSION: u8 = 1;
/// A level of zstd that is quicker than the network behind it.
const LEVEL: i32 = 3;
/// How far the clocks of two instances may be apart.
const MAX_SKEW: Duration = Duration::from_mins(1);

/// What a computation came to.
#[derive(Clone, Debug)]
pub struct Computed {
    /// In whatever form the one who computes gave it.
    pub value: Bytes,
    /// For how long it is served without a question.
    pub fresh_for: Duration,
    /// For how long after that it may be served while it is computed anew. With
    /// [`super::Cache::fetch`] what is kept for so long is shown to the judge, to serve or to
    /// validate.
    pub stale_for: Duration,
    /// Whether anybody else may have it. What may not is not kept, and not shared with whoever asks
    /// at the same time.
    pub is_stored: bool,
}

/// What is kept of a computation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub value: Bytes,
    /// When the computation was done.
    pub stored_at: Timestamp,
    pub fresh_for: Duration,
    pub stale_for: Duration,
}

/// What an entry is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usable {
    Fresh,
    /// It is served, and computed anew after the answer.
    Stale,
    No,
}

impl Entry {
    /// What it is good for by its own times.
    pub fn usable_at(&self, now: Timestamp) -> Usable {
        if now < self.stored_at.plus(self.fresh_for) {
            Usable::Fresh
        } else if now < self.expires_at() {
            Usable::Stale
        } else {
            Usable::No
        }
    }

    /// When it is of no more use to anybody.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.stored_at.plus(self.fresh_for).plus(self.stale_for)
    }
}

/// An entry, and what may have ended it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredEntry {
    pub(crate) entry: Entry,
    /// The newest invalidation before its computation began.
    pub(crate) generation: u64,
    pub(crate) labels: Vec<Label>,
}

/// Why bytes are not taken for an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("they are of another version")]
    OtherVersion,
    #[error("they are cut off or changed")]
    Damaged,
    #[error("they are of another entry")]
    OtherEntry,
    #[error("they hold more than is ever stored")]
    Oversized,
    #[error("they come from the future")]
    FromTheFuture,
}

#[derive(Serialize, Deserialize)]
struct Head {
    id: [u8; 32],
    stored_at: i64,
    fresh_ms: u64,
    stale_ms: u64,
    generation: u64,
    labels: Vec<u64>,
    length: u64,
}

/// The bytes ahead of the head: the version, and a checksum of all that follows.
const AHEAD: usize = 5;

impl StoredEntry {
    /// How much memory it takes, about.
    pub(crate) fn size(&self) -> usize {
        self.entry.value.len() + self.labels.len() * size_of::<Label>() + size_of::<Self>()
    }

    /// Its form outside of memory; `None` if it is larger than anything that is kept.
    pub(crate) fn encode(&self, id: &EntryId) -> Option<Vec<u8>> {
        let Entry {
            value,
            stored_at,
            fresh_for,
            stale_for,
        } = &self.entry;
        if value.len() > MAX_VALUE {
            return None;
        }
        let head = Head {
            id: *id.bytes(),
            stored_at: stored_at.millis(),
            fresh_ms: millis(*fresh_for),
            stale_ms: millis(*stale_for),
            generation: self.generation,
            labels: self.labels.iter().map(|label| label.0).collect(),
            length: value.len() as u64,
        };
        let mut bytes = postcard::to_extend(&head, vec![VERSION, 0, 0, 0, 0]).ok()?;
        bytes.extend(zstd::bulk::compress(value, LEVEL).ok()?);
        let checksum = crc32fast::hash(&bytes[AHEAD..]);
        bytes[1..AHEAD].copy_from_slice(&checksum.to_be_bytes());
        Some(bytes)
    }

    /// What [`Self::encode`] made of the entry with this id.
    pub(crate) fn decode(bytes: &[u8], id: &EntryId, now: Timestamp) -> Result<Self, Unreadable> {
        let [version, a, b, c, d, rest @ ..] = bytes else {
            return Err(Unreadable::Damaged);
        };
        if *version != VERSION {
            return Err(Unreadable::OtherVersion);
        }
        if crc32fast::hash(rest) != u32::from_be_bytes([*a, *b, *c, *d]) {
            return Err(Unreadable::Damaged);
        }
        let damaged = |_| Unreadable::Damaged;
        let (head, compressed): (Head, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
        if head.id != *id.bytes() {
            return Err(Unreadable::OtherEntry);
        }
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if length > MAX_VALUE {
            return Err(Unreadable::Oversized);
        }
        let stored_at = Timestamp::from_millis(head.stored_at);
        if stored_at > now.plus(MAX_SKEW) {
            return Err(Unreadable::FromTheFuture);
        }
        // It never makes room for more than was announced.
        let value = zstd::bulk::decompress(compressed, length);
        let value = value.map_err(|_| Unreadable::Damaged)?;
        if value.len() != length {
            return Err(Unreadable::Damaged);
        }
        Ok(Self {
            entry: Entry {
                value: Bytes::from(value.into_boxed_slice()),
                stored_at,
                fresh_for: Duration::from_millis(head.fresh_ms),
                stale_for: Duration::from_millis(head.stale_ms),
            },
            generation: head.generation,
            labels: head.labels.into_iter().map(Label).collect(),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cache::{CacheKey, CacheName, CacheOwner};

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn id(number: u8) -> EntryId {
        let key = CacheKey {
            owner: CacheOwner::Shared,
            name: CacheName::of("query/library"),
            tags: vec![],
            digest: [number; 32],
        };
        key.id()
    }

    fn stored(value: impl Into<Bytes>) -> StoredEntry {
        StoredEntry {
            entry: Entry {
                value: value.into(),
                stored_at: T,
                fresh_for: Duration::from_mins(5),
                stale_for: Duration::from_mins(1),
            },
            generation: 7,
            labels: vec![Label(1), Label(u64::MAX)],
        }
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_of_no_use() {
        let entry = stored("v").entry;
        let after = |seconds| entry.usable_at(T.plus(Duration::from_secs(seconds)));

        assert_eq!(after(0), Usable::Fresh);
        assert_eq!(after(299), Usable::Fresh);
        assert_eq!(after(300), Usable::Stale);
        assert_eq!(after(359), Usable::Stale);
        assert_eq!(after(360), Usable::No);
    }

    #[test]
    fn another_version_entry_or_time_is_told_apart_from_damage() {
        let bytes = stored("value").encode(&id(1)).unwrap();
        let mut other_version = bytes.clone();
        other_version[0] = VERSION + 1;
        let of = |bytes: &[u8], id, now| StoredEntry::decode(bytes, &id, now).unwrap_err();

        assert_eq!(of(&other_version, id(1), T), Unreadable::OtherVersion);
        assert_eq!(of(&bytes, id(2), T), Unreadable::OtherEntry);
        let long_before = T.minus(Duration::from_mins(2));
        assert_eq!(of(&bytes, id(1), long_before), Unreadable::FromTheFuture);
        assert_eq!(of(&[], id(1), T), Unreadable::Damaged);
    }

    #[test]
    fn what_is_larger_than_an_upstream_may_answer_is_neither_written_nor_read() {
        let large = stored(vec![0; MAX_VALUE + 1]);
        let head = Head {
            id: *id(1).bytes(),
            stored_at: T.millis(),
            fresh_ms: 1,
            stale_ms: 1,
            generation: 1,
            labels: vec![],
            length: MAX_VALUE as u64 + 1,
        };
        let mut bytes = postcard::to_extend(&head, vec![VERSION, 0, 0, 0, 0]).unwrap();
        bytes.extend(zstd::bulk::compress(&vec![0; MAX_VALUE + 1], LEVEL).unwrap());
        let checksum = crc32fast::hash(&bytes[AHEAD..]);
        bytes[1..AHEAD].copy_from_slice(&checksum.to_be_bytes());

        assert_eq!(large.encode(&id(1)), None);
        let read = StoredEntry::decode(&bytes, &id(1), T);
        assert_eq!(read, Err(Unreadable::Oversized));
    }

    proptest! {
        #[test]
        fn an_entry_reads_back_as_it_was_written(value in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let stored = stored(value);

            let bytes = stored.encode(&id(1)).unwrap();

            prop_assert_eq!(StoredEntry::decode(&bytes, &id(1), T), Ok(stored));
        }

        #[test]
        fn a_changed_or_cut_off_entry_is_never_read(
            value in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<proptest::sample::Index>(),
            flip in 1_u8..,
        ) {
            let bytes = stored(value).encode(&id(1)).unwrap();
            let mut changed = bytes.clone();
            let at = at.index(bytes.len());
            changed[at] ^= flip;

            prop_assert!(StoredEntry::decode(&changed, &id(1), T).is_err());
            prop_assert!(StoredEntry::decode(&bytes[..at], &id(1), T).is_err());
        }
    }
}
