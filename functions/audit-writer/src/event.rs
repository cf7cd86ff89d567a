//! What wakes the writer: the stream of the identity table, which tells of entries in the outbox,
//! and the hour, at which it looks for those that nobody told it of.
//!
//! What the mapping in the template filters out is passed over here too.

use serde::Deserialize;
use turnpike_shared::stores::AuditOutboxKey;

/// Records of the stream, as Lambda hands them over (AWS Lambda Developer Guide, "Using AWS Lambda
/// with Amazon DynamoDB"), of which the keys alone are read; or the word to sweep.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum WriterEvent {
    Stream {
        #[serde(rename = "Records")]
        records: Vec<StreamRecord>,
    },
    Sweep {
        sweep: Sweep,
    },
}

/// What is to be swept.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sweep {
    Outbox,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamRecord {
    event_name: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Text {
    s: String,
}

impl StreamRecord {
    /// Where the record's entry lies in the outbox, if it is of one that was put there.
    pub(crate) fn entry(&self) -> Option<AuditOutboxKey> {
        let Keys { pk, sk } = &self.dynamodb.keys;
        let was_put = self.event_name == "INSERT";
        AuditOutboxKey::of(&pk.s, &sk.s).filter(|_| was_put)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entries(event: Value) -> Vec<AuditOutboxKey> {
        match serde_json::from_value(event).unwrap() {
            WriterEvent::Stream { records } => {
                records.iter().filter_map(StreamRecord::entry).collect()
            }
            WriterEvent::Sweep { .. } => panic!("it is a stream's event"),
        }
    }

    fn record(name: &str, pk: &str) -> Value {
        let keys = json!({"pk": {"S": pk}, "sk": {"S": "aud_1"}});
        json!({"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": {"Keys": keys}})
    }

    #[test]
    fn entries_that_were_put_into_the_outbox_are_told_and_nothing_else() {
        let records = [
            record("INSERT", "AUDIT#1"),
            record("REMOVE", "AUDIT#1"),
            record("INSERT", "OUTBOX#1"),
            record("INSERT", "AUDIT#2"),
        ];

        let entries = entries(json!({"Records": records}));

        let expected = ["AUDIT#1", "AUDIT#2"].map(|pk| AuditOutboxKey::of(pk, "aud_1").unwrap());
        assert_eq!(entries, expected);
    }

    #[test]
    fn the_word_to_sweep_is_read_and_other_events_are_not() {
        let read = |event: Value| serde_json::from_value::<WriterEvent>(event);

        let sweep = read(json!({"sweep": "outbox"}));

        assert!(matches!(sweep, Ok(WriterEvent::Sweep { .. })));
        for event in [json!({}), json!({"sweep": "all"}), json!([])] {
            assert!(read(event.clone()).is_err(), "{event}");
        }
    }
}
