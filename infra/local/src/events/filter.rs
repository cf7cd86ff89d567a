//! Which records of a stream a function is handed: the part of Lambda's filter patterns that the
//! template uses (AWS Lambda Developer Guide, "Control which events Lambda sends to your function").

use serde_json::{Map, Value};

/// A pattern that a record must have.
#[derive(Clone, PartialEq, Debug)]
pub struct Filter(Map<String, Value>);

/// What a pattern asks for, beyond what this module knows.
#[derive(Debug, thiserror::Error)]
#[error(
    "the filter {0} is none that the local stack can apply: it knows objects of lists of values and of {{\"prefix\": …}}"
)]
pub(crate) struct UnknownPattern(String);

impl Filter {
    pub(crate) fn parse(pattern: &str) -> Result<Self, UnknownPattern> {
        let unknown = || UnknownPattern(pattern.to_owned());
        match serde_json::from_str(pattern) {
            Ok(Value::Object(members)) if members.values().all(is_known) => Ok(Self(members)),
            _ => Err(unknown()),
        }
    }

    /// Whether `record` is to be handed over.
    pub(crate) fn lets_through(&self, record: &Value) -> bool {
        has_members(&self.0, record)
    }
}

fn is_known(pattern: &Value) -> bool {
    match pattern {
        Value::Object(members) => members.values().all(is_known),
        Value::Array(choices) => choices.iter().all(|choice| match choice {
            Value::Object(operator) => prefix_of(operator).is_some(),
            Value::Array(_) => false,
            _ => true,
        }),
        _ => false,
    }
}

fn prefix_of(operator: &Map<String, Value>) -> Option<&str> {
    let is_alone = operator.len() == 1;
    operator.get("prefix")?.as_str().filter(|_| is_alone)
}

fn has_members(pattern: &Map<String, Value>, value: &Value) -> bool {
    pattern.iter().all(|(name, pattern)| match pattern {
        Value::Object(members) => value
            .get(name)
            .is_some_and(|inner| has_members(members, inner)),
        Value::Array(choices) => value
            .get(name)
            .is_some_and(|inner| choices.iter().any(|choice| is_chosen(choice, inner))),
        _ => false,
    })
}

fn is_chosen(choice: &Value, value: &Value) -> bool {
    match choice {
        Value::Object(operator) => {
            let begins_so = |text: &str| prefix_of(operator).is_some_and(|p| text.starts_with(p));
            value.as_str().is_some_and(begins_so)
        }
        exact => exact == value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_must_have_every_member_of_the_pattern() {
        let filter = r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"AUDIT#"}]}}}}"#;
        let filter = Filter::parse(filter).unwrap();
        let record = |name: &str, pk: &str| json!({"eventName": name, "dynamodb": {"Keys": {"pk": {"S": pk}}}});

        assert!(filter.lets_through(&record("INSERT", "AUDIT#2026")));
        assert!(filter.lets_through(&record("MODIFY", "AUDIT#2026")));
        assert!(!filter.lets_through(&record("REMOVE", "AUDIT#2026")));
        assert!(!filter.lets_through(&record("INSERT", "OUTBOX#1")));
        assert!(!filter.lets_through(&json!({"eventName": "INSERT"})));
    }

    #[test]
    fn a_pattern_beyond_what_is_known_is_refused() {
        for pattern in [
            r#"{"dynamodb":{"Keys":{"pk":{"S":[{"suffix":"x"}]}}}}"#,
            r#"{"eventName":[{"prefix":"I","suffix":"T"}]}"#,
            r#"{"eventName":"INSERT"}"#,
            r#"["INSERT"]"#,
            "INSERT",
        ] {
            assert!(Filter::parse(pattern).is_err(), "{pattern}");
        }
    }
}
