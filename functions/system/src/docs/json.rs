//! JSON for reading: indented, with names and values told apart by colour.

use maud::{Markup, html};
use serde_json::Value;

/// A value as indented, coloured text for a `pre`.
pub(super) fn coloured(value: &Value) -> Markup {
    indented(value, 0)
}

/// An object whose members stand in the order given.
pub(super) fn coloured_object(members: &[(&str, Value)]) -> Markup {
    object(members.iter().map(|(name, member)| (*name, member)), 0)
}

fn object<'a>(
    members: impl ExactSizeIterator<Item = (&'a str, &'a Value)>,
    depth: usize,
) -> Markup {
    let last = members.len().saturating_sub(1);
    html! {
        "{\n"
        @for (position, (name, member)) in members.enumerate() {
            (margin(depth + 1)) span.name { (Value::from(name).to_string()) } ": "
            (indented(member, depth + 1))
            @if position < last { "," } "\n"
        }
        (margin(depth)) "}"
    }
}

fn margin(depth: usize) -> String {
    "  ".repeat(depth)
}

fn indented(value: &Value, depth: usize) -> Markup {
    html! {
        @match value {
            Value::Object(members) if !members.is_empty() => {
                (object(members.iter().map(|(name, member)| (name.as_str(), member)), depth))
            },
            Value::Array(items) if !items.is_empty() => {
                "[\n"
                @for (position, item) in items.iter().enumerate() {
                    (margin(depth + 1)) (indented(item, depth + 1))
                    @if position + 1 < items.len() { "," } "\n"
                }
                (margin(depth)) "]"
            },
            Value::String(_) => span.string { (value.to_string()) },
            _ => span.literal { (value.to_string()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_is_the_json_itself() {
        let value = json!({"a": [1, {"b": null}], "c": "x\n\"y\"", "d": {}, "e": []});

        let text = coloured(&value).into_string();
        let text = text.replace("&quot;", "\"").replace("</span>", "");
        let text = ["name", "string", "literal"]
            .iter()
            .fold(text, |text, class| {
                text.replace(&format!("<span class=\"{class}\">"), "")
            });

        assert_eq!(text, serde_json::to_string_pretty(&value).unwrap());
    }
}
