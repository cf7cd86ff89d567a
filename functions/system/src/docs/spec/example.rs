//! A value that a schema allows, made from the examples in it.

use serde_json::{Map, Value, json};

use super::{Shape, Spec, items};

/// How deep an example goes; a schema that contains itself would go on for ever.
const MAX_DEPTH: usize = 8;

/// What an example is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What to send: the required fields, and those for which an example is stated.
    Request,
    /// What comes back: every field.
    Answer,
}

/// An example; `None` for a schema that says nothing.
pub(super) fn of(spec: &Spec, schema: &Value, purpose: Purpose) -> Option<Value> {
    schema.as_object().filter(|members| !members.is_empty())?;
    Some(at_depth(spec, schema, purpose, MAX_DEPTH))
}

fn at_depth(spec: &Spec, schema: &Value, purpose: Purpose, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    let shape = Shape::of(spec, schema);
    let chosen = items(shape.get("enum")).next();
    let default = Some(shape.get("default")).filter(|default| !default.is_null());
    if let Some(stated) = shape.stated_example().or(default).or(chosen) {
        return stated.clone();
    }
    if let Some(variant) = shape.variants().next() {
        return at_depth(spec, variant, purpose, depth);
    }
    let properties = shape.properties();
    match shape.get("type").as_str() {
        Some("string") => string(&shape),
        Some("integer" | "number") => number(&shape),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => {
            let item = shape
                .items()
                .map(|items| at_depth(spec, items, purpose, depth));
            Value::Array(item.into_iter().collect())
        }
        _ if properties.is_empty() => {
            let value = shape
                .values()
                .map(|values| at_depth(spec, values, purpose, depth));
            Value::Object(
                value
                    .into_iter()
                    .map(|value| ("name".to_owned(), value))
                    .collect(),
            )
        }
        _ => {
            let is_shown = |schema: &Value, is_required: bool| {
                purpose == Purpose::Answer
                    || is_required
                    || Shape::of(spec, schema).stated_example().is_some()
            };
            let shown = properties
                .into_iter()
                .filter(|(_, schema, is_required)| is_shown(schema, *is_required));
            let members: Map<String, Value> = shown
                .map(|(name, schema, _)| (name.to_owned(), at_depth(spec, schema, purpose, depth)))
                .collect();
            Value::Object(members)
        }
    }
}

fn string(shape: &Shape) -> Value {
    json!(match shape.get("format").as_str() {
        Some("date-time") => "2026-11-20T20:43:16Z",
        Some("date") => "2026-11-20",
        Some("email") => "ada@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("uuid") => "0199a3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("password") => "correct horse battery staple",
        _ => "string",
    })
}

fn number(shape: &Shape) -> Value {
    let minimum = shape.get("minimum");
    if minimum.is_number() {
        minimum.clone()
    } else {
        json!(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Value {
        json!({
            "type": "object",
            "required": ["email", "count"],
            "properties": {
                "email": {"type": "string", "format": "email"},
                "count": {"type": "integer", "minimum": 3},
                "name": {"type": ["string", "null"], "example": "Ada"},
                "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            },
        })
    }

    #[test]
    fn a_request_shows_what_must_be_sent_and_what_has_an_example() {
        let example = of(&Spec::new(json!({})), &account(), Purpose::Request);

        let expected = json!({"email": "ada@example.com", "count": 3, "name": "Ada"});
        assert_eq!(example, Some(expected));
    }

    #[test]
    fn an_answer_shows_every_field() {
        let example = of(&Spec::new(json!({})), &account(), Purpose::Answer);

        let expected =
            json!({"email": "ada@example.com", "count": 3, "name": "Ada", "tags": ["a"]});
        assert_eq!(example, Some(expected));
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let tree = json!({"properties": {"left": {"$ref": "#/tree"}}});
        let spec = Spec::new(json!({"tree": tree}));

        assert!(of(&spec, &json!({"$ref": "#/tree"}), Purpose::Answer).is_some());
    }

    #[test]
    fn a_schema_that_says_nothing_has_no_example() {
        for schema in [json!({}), json!(true), json!(null)] {
            assert_eq!(
                of(&Spec::new(json!({})), &schema, Purpose::Answer),
                None,
                "{schema}"
            );
        }
    }
}
