//! The `audit` table: the log, and where it ends.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `LOG#<thousand>` | the entry's number, in 20 digits | [`LogItem`] |
//! | `HEAD` | `HEAD` | [`HeadItem`]: how long the log is, sealed |
//! | `SWEEP` | `HOUR` | [`SweepItem`]: from when on the outbox may hold entries |

use serde::{Deserialize, Serialize};

use crate::audit::{ChainHash, Head, Link};

pub(crate) const HEAD_PK: &str = "HEAD";
pub(crate) const HEAD_SK: &str = "HEAD";
pub(crate) const SWEEP_PK: &str = "SWEEP";
pub(crate) const SWEEP_SK: &str = "HOUR";

/// How many entries lie in one partition, so that lists and verifications are queries by key.
const PARTITION_SIZE: u64 = 1_000;

/// The partition that the entry with this number, from 1 on, lies in.
pub(crate) fn partition(sequence: u64) -> u64 {
    sequence.saturating_sub(1) / PARTITION_SIZE
}

/// The number of the first entry in a partition.
pub(crate) fn first_in(partition: u64) -> u64 {
    partition * PARTITION_SIZE + 1
}

pub(crate) fn log_pk(partition: u64) -> String {
    format!("LOG#{partition}")
}

/// In the order of the numbers: 20 digits hold every one of 64 bits.
pub(crate) fn log_sk(sequence: u64) -> String {
    format!("{sequence:020}")
}

/// An entry in its place. Its number is its key.
#[derive(Serialize, Deserialize)]
pub(crate) struct LogItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    /// The entry as JSON: a text, because the hash is over these very characters.
    pub(crate) entry: String,
    pub(crate) previous_hash: ChainHash,
    pub(crate) hash: ChainHash,
}

impl From<Link> for LogItem {
    fn from(link: Link) -> Self {
        Self {
            pk: log_pk(partition(link.sequence)),
            sk: log_sk(link.sequence),
            entry: link.text,
            previous_hash: link.previous,
            hash: link.hash,
        }
    }
}

impl LogItem {
    /// The entry, if its key is a number.
    pub(crate) fn into_link(self) -> Option<Link> {
        let sequence = self.sk.parse().ok()?;
        Some(Link {
            sequence,
            text: self.entry,
            previous: self.previous_hash,
            hash: self.hash,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct HeadItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) count: u64,
    pub(crate) hash: ChainHash,
    pub(crate) seal: ChainHash,
}

impl HeadItem {
    pub(crate) fn new(head: Head, seal: ChainHash) -> Self {
        Self {
            pk: HEAD_PK.to_owned(),
            sk: HEAD_SK.to_owned(),
            count: head.count,
            hash: head.hash,
            seal,
        }
    }

    pub(crate) fn head(&self) -> Head {
        Head {
            count: self.count,
            hash: self.hash,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SweepItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    /// In hours since the Unix epoch. No entry of an earlier hour is in the outbox.
    pub(crate) hour: i64,
}

impl SweepItem {
    pub(crate) fn new(hour: i64) -> Self {
        Self {
            pk: SWEEP_PK.to_owned(),
            sk: SWEEP_SK.to_owned(),
            hour,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_dynamo::AttributeValue;

    use super::*;
    use crate::audit::ChainKey;
    use crate::auth::StageSecret;

    fn key() -> ChainKey {
        ChainKey::new(&StageSecret::new(&"0123456789abcdef0123456789abcdef".into()).unwrap())
    }

    #[test]
    fn an_entry_and_the_head_survive_the_round_trip_through_their_items() {
        let link = key().append(&Head::START, r#"{"id":"ä"}"#.to_owned());
        let head = link.as_head();

        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(LogItem::from(link.clone())).unwrap();
        let read: LogItem = serde_dynamo::from_item(item).unwrap();
        let head_item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(HeadItem::new(head, key().seal(&head))).unwrap();
        let head_read: HeadItem = serde_dynamo::from_item(head_item).unwrap();

        assert_eq!(
            (read.pk.as_str(), read.sk.as_str()),
            ("LOG#0", "00000000000000000001")
        );
        assert_eq!(read.into_link(), Some(link));
        assert_eq!(head_read.head(), head);
        assert!(key().sealed(&head, head_read.seal));
    }

    #[test]
    fn a_thousand_entries_lie_in_each_partition_in_the_order_of_their_numbers() {
        assert_eq!(
            [1, 1_000, 1_001, 2_000, 2_001].map(partition),
            [0, 0, 1, 1, 2]
        );
        assert_eq!([0, 1, 2].map(first_in), [1, 1_001, 2_001]);
        assert!(log_sk(9) < log_sk(10) && log_sk(999_999) < log_sk(u64::MAX));
    }
}
