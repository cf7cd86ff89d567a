//! A schema put together from what it refers to.

use serde_json::{Map, Value};

use super::{MAX_HOPS, Spec, items, members, text};

/// A schema whose own members, those behind its `$ref`s and those of its `allOf`s are one.
#[derive(Default)]
pub(crate) struct Shape {
    members: Map<String, Value>,
    is_nullable: bool,
    /// The name of the schema that it refers to.
    name: Option<String>,
}

impl Shape {
    pub(super) fn of(spec: &Spec, schema: &Value) -> Self {
        let mut shape = Self::default();
        shape.take(spec, schema, MAX_HOPS);
        shape
    }

    /// Adds what a schema says, where it has not been said already: what stands nearer counts.
    fn take(&mut self, spec: &Spec, schema: &Value, hops: usize) {
        let Some(hops) = hops.checked_sub(1) else {
            return;
        };
        for (name, value) in members(schema) {
            match name {
                "$ref" | "allOf" | "oneOf" | "anyOf" => {}
                "properties" => self.take_properties(value),
                "required" => self.take_required(value),
                "type" => self.take_type(value),
                _ => {
                    self.members.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().map(str::to_owned);
            self.name = self.name.take().or(name);
            self.take(spec, spec.target(reference), hops);
        }
        for part in items(&schema["allOf"]) {
            self.take(spec, part, hops);
        }
        self.take_variants(spec, schema, hops);
    }

    fn take_properties(&mut self, properties: &Value) {
        let known = self
            .members
            .entry("properties")
            .or_insert_with(|| Map::new().into());
        for (name, property) in members(properties) {
            if known.get(name).is_none() {
                known[name] = property.clone();
            }
        }
    }

    fn take_required(&mut self, required: &Value) {
        let known = self
            .members
            .entry("required")
            .or_insert_with(|| Vec::<Value>::new().into());
        if let Some(known) = known.as_array_mut() {
            known.extend(items(required).cloned());
        }
    }

    /// `null` among the types is a property of the shape, not a type.
    fn take_type(&mut self, stated: &Value) {
        let is_null = |kind: &&Value| *kind == "null";
        self.is_nullable |= items(stated).any(|kind| is_null(&kind));
        let others: Vec<Value> = items(stated)
            .filter(|kind| !is_null(kind))
            .cloned()
            .collect();
        let kind = match <[Value; 1]>::try_from(others) {
            Ok([only]) => only,
            Err(others) if others.is_empty() => stated.clone(),
            Err(others) => others.into(),
        };
        self.members.entry("type").or_insert(kind);
    }

    /// A choice between null and one other schema is that schema, nullable.
    fn take_variants(&mut self, spec: &Spec, schema: &Value, hops: usize) {
        for choice in ["oneOf", "anyOf"] {
            let is_null = |variant: &&Value| variant["type"] == "null";
            self.is_nullable |= items(&schema[choice]).any(|variant| is_null(&variant));
            let others: Vec<Value> = items(&schema[choice])
                .filter(|variant| !is_null(variant))
                .cloned()
                .collect();
            match others.as_slice() {
                [] => {}
                [only] => self.take(spec, only, hops),
                _ => {
                    self.members.entry(choice).or_insert(others.into());
                }
            }
        }
    }

    pub(super) fn get(&self, member: &str) -> &Value {
        self.members.get(member).unwrap_or(&Value::Null)
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn description(&self) -> &str {
        self.get("description").as_str().unwrap_or_default()
    }

    /// The example that the schema itself states.
    pub(super) fn stated_example(&self) -> Option<&Value> {
        [
            self.members.get("example"),
            self.get("examples").get(0),
            self.members.get("const"),
        ]
        .into_iter()
        .flatten()
        .next()
    }

    /// The fields of an object, the required ones first.
    pub(super) fn properties(&self) -> Vec<(&str, &Value, bool)> {
        let required: Vec<&str> = items(self.get("required"))
            .filter_map(Value::as_str)
            .collect();
        let properties = members(self.get("properties"));
        let mut properties: Vec<_> = properties
            .map(|(name, schema)| (name, schema, required.contains(&name)))
            .collect();
        properties.sort_by_key(|(_, _, is_required)| !is_required);
        properties
    }

    /// The schemas of which a value has one.
    pub(super) fn variants(&self) -> impl Iterator<Item = &Value> {
        items(self.get("oneOf")).chain(items(self.get("anyOf")))
    }

    /// What the values of a map look like, where any name is allowed.
    pub(super) fn values(&self) -> Option<&Value> {
        self.members
            .get("additionalProperties")
            .filter(|values| values.is_object())
    }

    pub(super) fn items(&self) -> Option<&Value> {
        self.members.get("items").filter(|items| items.is_object())
    }

    /// Whether fields that are not listed are refused.
    pub(super) fn is_closed(&self) -> bool {
        *self.get("additionalProperties") == false || *self.get("unevaluatedProperties") == false
    }

    /// The type, for people.
    pub(super) fn kind(&self, spec: &Spec) -> String {
        let kind = self.kind_but_null(spec, MAX_HOPS);
        if self.is_nullable && kind != "null" {
            format!("{kind} or null")
        } else {
            kind
        }
    }

    fn kind_but_null(&self, spec: &Spec, hops: usize) -> String {
        let Some(hops) = hops.checked_sub(1) else {
            return "any".to_owned();
        };
        let kind_of = |schema: &Value| Self::of(spec, schema).kind_but_null(spec, hops);
        match self.get("type") {
            Value::String(kind) if kind == "array" => match self.items() {
                Some(items) => format!("array of {}", kind_of(items)),
                None => kind.clone(),
            },
            Value::String(kind) if kind == "object" => match self.values() {
                Some(values) => format!("map to {}", kind_of(values)),
                None => kind.clone(),
            },
            // The formats of numbers are machine sizes, of which JSON knows nothing.
            Value::String(kind) => match self.get("format").as_str() {
                Some(format) if kind == "string" => format!("{kind} ({format})"),
                _ => kind.clone(),
            },
            Value::Array(kinds) => joined(kinds.iter().filter_map(Value::as_str)),
            _ if self.variants().next().is_some() => {
                let variants: Vec<String> = self
                    .variants()
                    .map(|variant| match text(variant, "$ref").rsplit('/').next() {
                        Some(name) if !name.is_empty() => name.to_owned(),
                        _ => kind_of(variant),
                    })
                    .collect();
                joined(variants.iter().map(String::as_str))
            }
            _ if self.members.contains_key("properties") => "object".to_owned(),
            _ => "any".to_owned(),
        }
    }
}

/// `a`, `a or b`, `a, b or c`, each once.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut different: Vec<&str> = Vec::new();
    for name in names {
        if !different.contains(&name) {
            different.push(name);
        }
    }
    match different.as_slice() {
        [] => "any".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_is_named_as_people_would() {
        let spec = Spec::new(json!({"components": {"schemas": {
            "Cat": {"type": "object"},
            "Dog": {"type": "object"},
            "Level": {"type": "string", "enum": ["low", "high"]},
        }}}));
        let cat = json!({"$ref": "#/components/schemas/Cat"});
        let dog = json!({"$ref": "#/components/schemas/Dog"});
        let level = json!({"$ref": "#/components/schemas/Level"});

        for (schema, expected) in [
            (json!({"type": "string"}), "string"),
            (
                json!({"type": "string", "format": "email"}),
                "string (email)",
            ),
            (
                json!({"type": ["integer", "null"], "format": "int64"}),
                "integer or null",
            ),
            (json!({"type": ["string", "integer"]}), "string or integer"),
            (json!({"type": "null"}), "null"),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                "array of string",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "number"}}),
                "map to number",
            ),
            (json!({"oneOf": [{"type": "null"}, cat]}), "object or null"),
            (json!({"oneOf": [cat, dog]}), "Cat or Dog"),
            (
                json!({"anyOf": [cat, dog, {"type": "null"}]}),
                "Cat or Dog or null",
            ),
            (level, "string"),
            (json!({"properties": {}}), "object"),
            (json!({}), "any"),
            (json!(true), "any"),
        ] {
            assert_eq!(Shape::of(&spec, &schema).kind(&spec), expected, "{schema}");
        }
    }

    #[test]
    fn all_parts_of_an_all_of_are_one_and_what_stands_nearer_counts() {
        let spec = Spec::new(json!({"components": {"schemas": {
            "Base": {"type": "object", "required": ["id"], "description": "base",
                "properties": {"id": {"type": "string"}, "name": {"type": "string"}}},
        }}}));
        let schema = json!({
            "description": "own",
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"properties": {"name": {"type": "integer"}, "age": {}}, "required": ["age"]},
            ],
        });

        let shape = Shape::of(&spec, &schema);

        let properties: Vec<_> = shape
            .properties()
            .iter()
            .map(|(name, _, required)| (*name, *required))
            .collect();
        assert_eq!(properties, [("id", true), ("age", true), ("name", false)]);
        assert_eq!(shape.get("properties")["name"]["type"], "string");
        assert_eq!(shape.description(), "own");
        assert_eq!(shape.name(), Some("Base"));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let spec = Spec::new(json!({"a": {"allOf": [{"$ref": "#/a"}, {"$ref": "#/a"}]},
            "list": {"type": "array", "items": {"$ref": "#/list"}}}));

        assert_eq!(Shape::of(&spec, &json!({"$ref": "#/a"})).kind(&spec), "any");
        let kind = Shape::of(&spec, &json!({"$ref": "#/list"})).kind(&spec);
        assert!(kind.starts_with("array of array of"));
    }
}
