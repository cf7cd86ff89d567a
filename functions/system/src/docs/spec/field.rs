//! A schema as a list of fields, nested ones by their path.

use serde_json::Value;

use super::{Shape, Spec, items};

/// How deep nested fields are listed.
const MAX_DEPTH: usize = 6;

/// A field of a body, a parameter or a header.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    /// What it stands in, such as `user.` or `items[].`; empty at the top.
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) is_required: bool,
    pub(crate) is_deprecated: bool,
    pub(crate) description: String,
    pub(crate) constraints: Vec<Constraint>,
}

/// What a value must be like: words, and the literal values that they are about.
#[derive(Debug, PartialEq)]
pub(crate) struct Constraint {
    pub(crate) words: String,
    pub(crate) values: Vec<String>,
}

impl Field {
    pub(super) fn new(spec: &Spec, name: String, shape: &Shape, is_required: bool) -> Self {
        Self {
            prefix: String::new(),
            name,
            kind: shape.kind(spec),
            is_required,
            is_deprecated: *shape.get("deprecated") == true,
            description: shape.description().to_owned(),
            constraints: constraints(spec, shape),
        }
    }
}

/// The fields of a body and of what stands in it.
pub(super) fn of_body(spec: &Spec, shape: &Shape) -> Vec<Field> {
    let mut listing = Listing {
        spec,
        fields: Vec::new(),
        within: Vec::new(),
    };
    listing.descend(shape, "");
    listing.fields
}

struct Listing<'a> {
    spec: &'a Spec,
    fields: Vec<Field>,
    /// The names of the schemas around this place; one that contains itself is not listed again.
    within: Vec<Option<String>>,
}

impl Listing<'_> {
    fn descend(&mut self, shape: &Shape, prefix: &str) {
        let name = shape.name().map(str::to_owned);
        let contains_itself = name.is_some() && self.within.contains(&name);
        if contains_itself || self.within.len() >= MAX_DEPTH {
            return;
        }
        self.within.push(name);
        for (name, schema, is_required) in shape.properties() {
            let property = Shape::of(self.spec, schema);
            let field = Field::new(self.spec, name.to_owned(), &property, is_required);
            self.fields.push(Field {
                prefix: prefix.to_owned(),
                ..field
            });
            self.descend(&property, &format!("{prefix}{name}."));
        }
        if let Some(items) = shape.items() {
            self.descend(&Shape::of(self.spec, items), &element(prefix, "[]"));
        }
        if let Some(values) = shape.values() {
            self.descend(&Shape::of(self.spec, values), &element(prefix, ".*"));
        }
        for variant in shape.variants() {
            self.descend(&Shape::of(self.spec, variant), prefix);
        }
        self.within.pop();
    }
}

/// The prefix of what stands in each element of the field before.
fn element(prefix: &str, mark: &str) -> String {
    let within = format!("{}{mark}.", prefix.trim_end_matches('.'));
    within.trim_start_matches('.').to_owned()
}

fn constraints(spec: &Spec, shape: &Shape) -> Vec<Constraint> {
    let mut found = of_value(shape);
    if let Some(items) = shape.items() {
        let of_each = of_value(&Shape::of(spec, items)).into_iter();
        found.extend(of_each.map(|each| Constraint {
            words: format!("each {}", each.words),
            ..each
        }));
    }
    if let Some(default) = Some(shape.get("default")).filter(|default| !default.is_null()) {
        found.push(Constraint {
            words: "default".to_owned(),
            values: vec![literal(default)],
        });
    }
    found
}

fn of_value(shape: &Shape) -> Vec<Constraint> {
    let lengths = [
        range(shape, "minLength", "maxLength", " characters"),
        range(shape, "minItems", "maxItems", " items"),
        range(shape, "minProperties", "maxProperties", " members"),
        range(shape, "minimum", "maximum", ""),
    ];
    let bounds = [
        stated(shape, "exclusiveMinimum", "more than"),
        stated(shape, "exclusiveMaximum", "less than"),
        stated(shape, "multipleOf", "a multiple of"),
        stated(shape, "pattern", "matches"),
        stated(shape, "const", "always"),
    ];
    let choices: Vec<String> = items(shape.get("enum"))
        .filter(|value| !value.is_null())
        .map(literal)
        .collect();
    let choice = match choices.len() {
        0 => None,
        1 => Some(Constraint {
            words: "always".to_owned(),
            values: choices,
        }),
        _ => Some(Constraint {
            words: "one of".to_owned(),
            values: choices,
        }),
    };
    let unique = (*shape.get("uniqueItems") == true).then(|| Constraint {
        words: "no item twice".to_owned(),
        values: Vec::new(),
    });
    lengths
        .into_iter()
        .chain(bounds)
        .chain([choice, unique])
        .flatten()
        .collect()
}

fn range(shape: &Shape, min: &str, max: &str, unit: &str) -> Option<Constraint> {
    let number = |member: &str| {
        shape
            .get(member)
            .is_number()
            .then(|| literal(shape.get(member)))
    };
    // What cannot be less than nothing need not be said.
    let is_trivial = |min: &String| min == "0" && !unit.is_empty();
    let words = match (number(min).filter(|min| !is_trivial(min)), number(max)) {
        (None, None) => return None,
        (Some(min), None) => format!("at least {min}{unit}"),
        (None, Some(max)) => format!("at most {max}{unit}"),
        (Some(min), Some(max)) if min == max => format!("exactly {min}{unit}"),
        (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
    };
    Some(Constraint {
        words: singular(words),
        values: Vec::new(),
    })
}

fn singular(words: String) -> String {
    match words.strip_suffix('s') {
        Some(one) if words.contains(" 1 ") && !words.contains(" to ") => one.to_owned(),
        _ => words,
    }
}

fn stated(shape: &Shape, member: &str, words: &str) -> Option<Constraint> {
    let value = shape.get(member);
    let is_stated = value.is_string() || value.is_number();
    is_stated.then(|| Constraint {
        words: words.to_owned(),
        values: vec![literal(value)],
    })
}

/// A value as it would be typed; a string without its quotes.
pub(crate) fn literal(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(spec: &Spec, schema: &Value) -> Vec<String> {
        let fields = of_body(spec, &Shape::of(spec, schema));
        fields
            .iter()
            .map(|field| format!("{}{}", field.prefix, field.name))
            .collect()
    }

    #[test]
    fn nested_fields_are_listed_by_their_path() {
        let spec = Spec::new(json!({"components": {"schemas": {
            "User": {"type": "object", "properties": {"id": {}, "roles": {"type": "array",
                "items": {"type": "string"}}}},
        }}}));
        let user = json!({"$ref": "#/components/schemas/User"});

        for (schema, expected) in [
            (
                json!({"properties": {"user": user}}),
                vec!["user", "user.id", "user.roles"],
            ),
            (
                json!({"properties": {"owner": {"oneOf": [{"type": "null"}, user]}}}),
                vec!["owner", "owner.id", "owner.roles"],
            ),
            (
                json!({"properties": {"items": {"type": "array", "items": user}}}),
                vec!["items", "items[].id", "items[].roles"],
            ),
            (
                json!({"type": "array", "items": user}),
                vec!["[].id", "[].roles"],
            ),
            (
                json!({"properties": {"by_name": {"additionalProperties": user}}}),
                vec!["by_name", "by_name.*.id", "by_name.*.roles"],
            ),
            (
                json!({"type": "object", "additionalProperties": user}),
                vec!["*.id", "*.roles"],
            ),
            (json!({"type": "string"}), vec![]),
        ] {
            assert_eq!(listed(&spec, &schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_contains_itself_is_listed_once() {
        let spec = Spec::new(json!({"components": {"schemas": {
            "Tree": {"properties": {"leaf": {}, "left": {"$ref": "#/components/schemas/Tree"}}},
        }}}));

        let fields = listed(&spec, &json!({"$ref": "#/components/schemas/Tree"}));

        assert_eq!(fields, ["leaf", "left"]);
    }

    #[test]
    fn constraints_are_told_in_words() {
        let spec = Spec::new(json!({}));
        for (schema, expected) in [
            (
                json!({"minLength": 8, "maxLength": 128}),
                "8 to 128 characters",
            ),
            (json!({"minLength": 1}), "at least 1 character"),
            (
                json!({"minLength": 0, "maxLength": 5}),
                "at most 5 characters",
            ),
            (json!({"minimum": 0, "maximum": 10}), "0 to 10"),
            (json!({"minItems": 2, "maxItems": 2}), "exactly 2 items"),
            (json!({"exclusiveMinimum": 0.5}), "more than 0.5"),
            (json!({"pattern": "^a"}), "matches ^a"),
            (json!({"enum": ["a", "b", null]}), "one of a b"),
            (json!({"const": "Bearer"}), "always Bearer"),
            (json!({"default": false}), "default false"),
            (
                json!({"type": "array", "uniqueItems": true, "items": {"maxLength": 9}}),
                "no item twice; each at most 9 characters",
            ),
            (json!({"minimum": "junk", "enum": 7}), ""),
        ] {
            let told: Vec<String> = constraints(&spec, &Shape::of(&spec, &schema))
                .iter()
                .map(|it| {
                    [std::slice::from_ref(&it.words), &it.values]
                        .concat()
                        .join(" ")
                })
                .collect();
            assert_eq!(told.join("; "), expected, "{schema}");
        }
    }
}
