//! A curl line for an operation, to be pasted into a POSIX shell.

use super::spec::{Carrier, Operation, Parameter, Scheme, anchor, literal};

/// The line, with credentials as variables of the shell.
pub(super) fn line(operation: &Operation<'_>, schemes: &[Scheme<'_>], base: &str) -> String {
    let mut parts = vec![match operation.method {
        "get" => "curl".to_owned(),
        "head" => "curl --head".to_owned(),
        method => format!("curl -X {}", method.to_uppercase()),
    }];
    parts[0] = format!("{} {}", parts[0], quoted(&url(operation, schemes, base)));
    for scheme in needed(operation, schemes) {
        parts.extend(credential(scheme));
    }
    for header in required(operation, "header") {
        let value = format!("{}: {}", header.field.name, value_of(header));
        parts.push(format!("-H {}", quoted(&value)));
    }
    if let Some(content) = operation.body.as_ref().map(|body| &body.content) {
        let header = format!("Content-Type: {}", content.media_type);
        parts.push(format!("-H {}", quoted(&header)));
        let body = content
            .example
            .as_ref()
            .map(|example| format!("{example:#}"));
        parts.push(format!("-d {}", quoted(&body.unwrap_or_default())));
    }
    parts.join(" \\\n  ")
}

fn url(operation: &Operation<'_>, schemes: &[Scheme<'_>], base: &str) -> String {
    let in_path = operation
        .parameters
        .iter()
        .filter(|parameter| parameter.place == "path");
    let path = in_path.fold(operation.path.to_owned(), |path, parameter| {
        path.replace(
            &format!("{{{}}}", parameter.field.name),
            &escaped(&value_of(parameter)),
        )
    });
    let credentials = needed(operation, schemes).filter_map(|scheme| match scheme.carrier {
        Carrier::Query(name) => Some((name.to_owned(), variable(scheme.name))),
        _ => None,
    });
    let query: Vec<String> = required(operation, "query")
        .map(|parameter| (parameter.field.name.clone(), value_of(parameter)))
        .chain(credentials)
        .map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value)))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}{path}{mark}{}", query.join("&"))
}

fn required<'a>(
    operation: &'a Operation<'a>,
    place: &'a str,
) -> impl Iterator<Item = &'a Parameter<'a>> {
    let parameters = operation.parameters.iter();
    parameters.filter(move |parameter| parameter.place == place && parameter.field.is_required)
}

/// The credentials of the first way in, where there is no way without one.
fn needed<'a>(
    operation: &'a Operation<'a>,
    schemes: &'a [Scheme<'a>],
) -> impl Iterator<Item = &'a Scheme<'a>> {
    let first = operation
        .access
        .alternatives
        .first()
        .filter(|_| !operation.access.is_optional);
    let requirements = first.into_iter().flatten();
    requirements.filter_map(|needed| schemes.iter().find(|scheme| scheme.name == needed.scheme))
}

fn credential(scheme: &Scheme<'_>) -> Option<String> {
    let variable = variable(scheme.name);
    match scheme.carrier {
        Carrier::Bearer => Some(format!("-H \"Authorization: Bearer ${variable}\"")),
        Carrier::Basic => Some(format!("-u \"${variable}\"")),
        Carrier::Header(name) => Some(format!(
            "-H {}\"${variable}\"",
            quoted(&format!("{name}: "))
        )),
        Carrier::Cookie(name) => Some(format!("-b {}\"${variable}\"", quoted(&format!("{name}=")))),
        Carrier::Query(_) | Carrier::Other(_) => None,
    }
}

/// An example of a parameter's value, or its name in capitals.
fn value_of(parameter: &Parameter<'_>) -> String {
    parameter
        .example
        .as_ref()
        .map_or_else(|| variable(&parameter.field.name), literal)
}

/// `accessToken` as `ACCESS_TOKEN`: the name of a shell variable.
fn variable(name: &str) -> String {
    let mut variable = String::new();
    let mut was_small = false;
    for character in anchor(name).replace('-', "_").chars() {
        if was_small && character.is_ascii_uppercase() {
            variable.push('_');
        }
        was_small = character.is_ascii_lowercase();
        variable.push(character.to_ascii_uppercase());
    }
    variable
}

/// Percent-encodes what is not unreserved in a URL (RFC 3986, section 2.3).
fn escaped(text: &str) -> String {
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| {
            if is_unreserved(byte) {
                char::from(byte).into()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// In single quotes, in which a POSIX shell takes everything as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::docs::spec::Spec;

    fn line_of(document: &Value) -> String {
        let spec = Spec::parse(&document.to_string()).unwrap();
        let operation = spec.operations().next().unwrap();
        line(&operation, &spec.schemes(), "https://api.example.com")
    }

    #[test]
    fn a_line_has_all_that_the_request_needs() {
        let line = line_of(&json!({
            "security": [{"accessToken": []}, {"apiKey": []}],
            "paths": {"/things/{id}": {"put": {
                "parameters": [
                    {"in": "path", "name": "id", "required": true, "example": "a b"},
                    {"in": "query", "name": "mode", "required": true, "schema": {"type": "string"}},
                    {"in": "query", "name": "optional"},
                    {"in": "header", "name": "If-Match", "required": true, "example": "\"1\""},
                ],
                "requestBody": {"content": {"application/json": {"example": {"name": "O'Hara"}}}},
            }}},
            "components": {"securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }},
        }));

        assert_eq!(
            line,
            r#"curl -X PUT 'https://api.example.com/things/a%20b?mode=MODE' \
  -H "Authorization: Bearer $ACCESS_TOKEN" \
  -H 'If-Match: "1"' \
  -H 'Content-Type: application/json' \
  -d '{
  "name": "O'\''Hara"
}'"#
        );
    }

    #[test]
    fn a_credential_that_is_optional_is_left_out() {
        let line = line_of(&json!({
            "paths": {"/": {"get": {"security": [{}, {"token": []}]}}},
            "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        }));

        assert_eq!(line, "curl 'https://api.example.com/'");
    }

    #[test]
    fn a_variable_is_named_as_shells_name_them() {
        for (name, expected) in [
            ("accessToken", "ACCESS_TOKEN"),
            ("bearer_auth", "BEARER_AUTH"),
            ("apiKey", "API_KEY"),
            ("X-API-Key", "X_API_KEY"),
            ("$(rm)", "RM"),
        ] {
            assert_eq!(variable(name), expected);
        }
    }
}
