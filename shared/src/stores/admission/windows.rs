//! How a subject's windows lie in attributes, and back.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::limits::{Bucket, Counter, WindowId};
use crate::stores::Item;

/// The attributes of one window, behind its id and a dot.
pub(super) mod attribute {
    /// The newest bucket.
    pub(in super::super) const NEWEST: &str = "i";
    /// What was counted in it.
    pub(in super::super) const COUNT: &str = "n";
    /// What counts in all, as of the newest bucket.
    pub(in super::super) const SUM: &str = "s";
    /// What was counted in the bucket before the newest.
    pub(in super::super) const PREVIOUS_COUNT: &str = "q";
    /// Which bucket that was, and all older ones that count.
    pub(in super::super) const PAST: &str = "p";

    pub(in super::super) const ALL: [&str; 5] = [NEWEST, COUNT, SUM, PREVIOUS_COUNT, PAST];
}

/// Every window of a subject.
pub(super) type Windows = BTreeMap<WindowId, Counter>;

/// What stands before the newest bucket, packed: most counts take one byte.
#[derive(Serialize, Deserialize)]
struct Past {
    previous: i64,
    /// What was counted in each bucket before that, back to the oldest that counts.
    older: Vec<u64>,
}

/// Packs the bucket before the newest and what is older (oldest first).
pub(super) fn past(previous: i64, older: &[Bucket]) -> AttributeValue {
    let gap = |bucket: i64| usize::try_from(previous - 1 - bucket).ok();
    let oldest = older.first().and_then(|(bucket, _)| gap(*bucket));
    let mut counts = vec![0; oldest.map_or(0, |oldest| oldest + 1)];
    for (bucket, count) in older {
        if let Some(slot) = gap(*bucket).and_then(|gap| counts.get_mut(gap)) {
            *slot = *count;
        }
    }
    let past = Past {
        previous,
        older: counts,
    };
    let bytes = postcard::to_allocvec(&past).unwrap_or_default();
    AttributeValue::B(Blob::new(bytes))
}

/// Reads every window of an item; one that cannot be read counts as absent, and the condition of
/// the write that follows from that will not hold.
pub(super) fn windows_of(item: &Item) -> Windows {
    let ids = item
        .keys()
        .filter_map(|name| name.strip_suffix(".i").map(WindowId::stored));
    ids.filter_map(|id| {
        let counter = counter_of(item, &id)?;
        Some((id, counter))
    })
    .collect()
}

pub(super) fn counter_of(item: &Item, id: &WindowId) -> Option<Counter> {
    let get = |attribute: &str| item.get(&format!("{}.{attribute}", id.as_str()));
    let newest = (
        number_of(get(attribute::NEWEST)?)?,
        number_of(get(attribute::COUNT)?)?,
    );
    let past = get(attribute::PAST)
        .and_then(|value| value.as_b().ok())
        .and_then(|bytes| postcard::from_bytes::<Past>(bytes.as_ref()).ok());
    let Some(past) = past else {
        return Some(Counter {
            newest,
            previous: None,
            older: vec![],
        });
    };
    let previous_count = get(attribute::PREVIOUS_COUNT).and_then(number_of);
    let older = (1..).zip(&past.older);
    let older = older.filter(|(_, count)| **count > 0);
    let mut older: Vec<Bucket> = older
        .map(|(gap, count)| (past.previous - gap, *count))
        .collect();
    older.reverse();
    Some(Counter {
        newest,
        previous: Some((past.previous, previous_count?)),
        older,
    })
}

pub(super) fn number_of<T: std::str::FromStr>(value: &AttributeValue) -> Option<T> {
    value.as_n().ok()?.parse().ok()
}
