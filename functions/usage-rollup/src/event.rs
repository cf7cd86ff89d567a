//! What the stream of the usage table tells: which slices were written to, and whose requests they
//! were.
//!
//! What the mapping in the template filters out is passed over here too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_dynamo::Item;
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{StoreError, Written};
use turnpike_shared::usage::Slice;

/// Records of the stream, as Lambda hands them over (AWS Lambda Developer Guide, "Using AWS Lambda with
/// Amazon DynamoDB"); of each, what is read here.
#[derive(Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<StreamRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamRecord {
    event_name: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Item,
    #[serde(default)]
    new_image: Option<Item>,
}

/// Whose sums of a slice are out of date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Dirty {
    Everybodys,
    Only(BTreeSet<UserId>),
}

impl Dirty {
    pub(crate) fn includes(&self, user: UserId) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Only(users) => users.contains(&user),
        }
    }

    fn and(self, users: Option<BTreeSet<UserId>>) -> Self {
        match (self, users) {
            (Self::Only(mut known), Some(users)) => {
                known.extend(users);
                Self::Only(known)
            }
            _ => Self::Everybodys,
        }
    }
}

impl StreamEvent {
    /// The slices that were written to, each once.
    pub(crate) fn dirty(self) -> Result<BTreeMap<Slice, Dirty>, StoreError> {
        let mut slices = BTreeMap::new();
        for StreamRecord {
            event_name,
            dynamodb,
        } in self.records
        {
            if event_name != "INSERT" {
                continue;
            }
            let written = Written::read(&dynamodb.keys, dynamodb.new_image)?;
            if let Some(Written { slice, users }) = written {
                let nobodys = Dirty::Only(BTreeSet::new());
                let known = slices.remove(&slice).unwrap_or(nobodys);
                slices.insert(slice, known.and(users));
            }
        }
        Ok(slices)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn dirty(records: &Value) -> BTreeMap<Slice, Dirty> {
        let event: StreamEvent = serde_json::from_value(json!({"Records": records})).unwrap();
        event.dirty().unwrap()
    }

    fn slice(start: &str) -> Slice {
        Slice::of(start.parse().unwrap())
    }

    #[test]
    fn a_key_alone_makes_all_of_its_slice_dirty() {
        let record = json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "BATCHES#2026-11-20T20:45"}}}});

        let dirty = dirty(&json!([record, record]));

        let expected = (slice("2026-11-20T20:45:00Z"), Dirty::Everybodys);
        assert_eq!(dirty.into_iter().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn what_expires_and_what_is_no_batch_makes_nothing_dirty() {
        let removed = json!({"eventName": "REMOVE", "dynamodb": {"Keys": {"pk": {"S": "BATCHES#2026-11-20T20:45"}}}});
        let sum = json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "STAGE"}}}});

        assert!(dirty(&json!([removed, sum])).is_empty());
    }

    #[test]
    fn whoever_is_dirty_once_is_dirty_whatever_else_is_told() {
        let (ada, bob) = ids();
        let nobodys = Dirty::Only(BTreeSet::new());

        let both = nobodys.and(Some([ada].into())).and(Some([bob].into()));

        assert_eq!(both, Dirty::Only([ada, bob].into()));
        assert_eq!(both.and(None).and(Some([ada].into())), Dirty::Everybodys);
    }

    fn ids() -> (UserId, UserId) {
        let at = slice("2026-11-20T20:45:00Z").start();
        (UserId::new(at), UserId::new(at))
    }
}
