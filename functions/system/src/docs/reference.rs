//! The reference page: what the API is, how to authenticate, and every operation in its group.

use maud::{Markup, html};

use super::layout::Page;
use super::spec::{Carrier, Group, Scheme, Spec, anchor};
use super::{operation, prose};

/// The page about an API that stands at `base`.
pub(super) fn page(spec: &Spec, base: &str) -> Page {
    let groups = spec.groups();
    let schemes = spec.schemes();
    Page {
        title: format!("{} API reference", spec.title()),
        description: format!("Every operation of the {} API.", spec.title()),
        contents: contents(&groups, !schemes.is_empty()),
        main: html! {
            (introduction(spec, base))
            (authentication(&schemes))
            @for group in &groups {
                section.group aria-labelledby=(group_anchor(group)) {
                    div.intro {
                        h2 #(group_anchor(group)) { (group.name) }
                        (prose::blocks(group.description))
                    }
                    @for operation in &group.operations {
                        (operation::section(operation, &schemes, base))
                    }
                }
            }
        },
    }
}

fn contents(groups: &[Group<'_>], has_schemes: bool) -> Markup {
    html! {
        ul.pages {
            li { a href="#introduction" { "Introduction" } }
            @if has_schemes { li { a href="#authentication" { "Authentication" } } }
            li { a href="/docs/errors" { "Problem codes" } }
            li { a href="/openapi.json" { "OpenAPI document" } }
        }
        @for group in groups {
            h2 { a href=(format!("#{}", group_anchor(group))) { (group.name) } }
            ul {
                @for operation in &group.operations {
                    li {
                        a.with-method href=(format!("#{}", operation.anchor)) {
                            (operation::method(operation.method)) " "
                            span { (operation.summary) }
                        }
                    }
                }
            }
        }
    }
}

fn introduction(spec: &Spec, base: &str) -> Markup {
    html! {
        section.intro #introduction {
            h1 { (spec.title()) " API" }
            p.facts {
                span { "Release " (spec.version()) }
                span { "At " code { (base) } }
                span { a href="/openapi.json" { "OpenAPI document" } }
                span { a href="/docs/errors" { "Problem codes" } }
            }
            (prose::blocks(spec.description()))
        }
        @if !spec.headers_of_all().is_empty() {
            section.intro aria-labelledby="headers" {
                h2 #headers { "Headers of every answer" }
                (operation::headers(spec.headers_of_all()))
            }
        }
    }
}

fn authentication(schemes: &[Scheme<'_>]) -> Markup {
    html! {
        @if !schemes.is_empty() {
            section.intro aria-labelledby="authentication" {
                h2 #authentication { "Authentication" }
                dl.schemes {
                    @for scheme in schemes {
                        div #(scheme_anchor(scheme.name)) {
                            dt { (scheme.name) }
                            dd {
                                p.carrier { (carrier(&scheme.carrier)) }
                                (prose::blocks(scheme.description))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn carrier(carrier: &Carrier<'_>) -> Markup {
    html! {
        @match carrier {
            Carrier::Bearer => code { "Authorization: Bearer …" },
            Carrier::Basic => code { "Authorization: Basic …" },
            Carrier::Header(name) => code { (name) ": …" },
            Carrier::Query(name) => { "Query parameter " code { (name) } },
            Carrier::Cookie(name) => { "Cookie " code { (name) } },
            Carrier::Other(kind) => (kind),
        }
    }
}

fn group_anchor(group: &Group<'_>) -> String {
    format!("group-{}", anchor(group.name))
}

/// Where the page describes a way to authenticate.
pub(super) fn scheme_anchor(name: &str) -> String {
    format!("scheme-{}", anchor(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::docs::SPEC;

    fn main_of(document: &Value) -> String {
        let spec = Spec::parse(&document.to_string()).unwrap();
        page(&spec, "https://api.example.com").main.into_string()
    }

    #[test]
    fn every_operation_of_the_embedded_document_is_on_the_page_and_in_the_contents() {
        let page = page(&SPEC, "https://api.example.com");
        let (contents, main) = (page.contents.into_string(), page.main.into_string());

        for operation in SPEC.operations() {
            let anchor = &operation.anchor;
            assert!(main.contains(&format!("id=\"{anchor}\"")), "{anchor}");
            assert!(
                contents.contains(&format!("href=\"#{anchor}\"")),
                "{anchor}"
            );
        }
    }

    #[test]
    fn every_operation_of_this_function_is_shown_with_its_problems() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let main = main_of(&document);

        for path in [
            "/",
            "/health",
            "/api/v1/health/ready",
            "/docs/errors/{code}",
        ] {
            let id = document["paths"][path]["get"]["operationId"]
                .as_str()
                .unwrap();
            assert!(main.contains(&format!("id=\"{id}\"")), "{path}");
        }
        assert!(main.contains("href=\"/docs/errors/not-ready\""));
    }

    #[test]
    fn ids_occur_once() {
        let main = main_of(&serde_json::to_value(crate::openapi()).unwrap());
        let mut ids: Vec<&str> = main
            .split(" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let all = ids.len();

        ids.sort_unstable();
        ids.dedup();

        assert_eq!(ids.len(), all);
    }

    /// Puts a hostile text in every place of a document that holds one.
    fn poisoned(value: Value) -> Value {
        const POISON: &str = "\"'><script>alert(1)</script>";
        match value {
            Value::String(text) if text.starts_with('#') || is_keyword(&text) => text.into(),
            Value::String(text) => format!("{text}{POISON}").into(),
            Value::Array(items) => items.into_iter().map(poisoned).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(name, member)| match name.as_str() {
                    "email" | "EMail" | "token" | "/things/{id}" | "Retry-After" | "200" => {
                        (format!("{name}{POISON}"), poisoned(member))
                    }
                    _ => (name, poisoned(member)),
                })
                .collect(),
            other => other,
        }
    }

    fn is_keyword(text: &str) -> bool {
        [
            "object", "array", "http", "apiKey", "bearer", "header", "path",
        ]
        .contains(&text)
    }

    #[test]
    fn hostile_text_in_a_document_stays_text() {
        let document = json!({
            "info": {"title": "T", "version": "1", "description": "d `c` [l](/x) **s**\n- i"},
            "tags": [{"name": "g", "description": "d"}],
            "security": [{"token": ["scope"]}],
            "paths": {"/things/{id}": {"post": {
                "tags": ["g"], "operationId": "make", "summary": "s", "description": "d",
                "parameters": [{"in": "path", "name": "id", "required": true, "example": "e",
                    "description": "d", "schema": {"type": "string", "pattern": "p"}}],
                "requestBody": {"description": "d", "content": {"application/json": {"schema":
                    {"type": "object", "required": ["email"], "properties": {"email":
                        {"type": "string", "description": "d", "enum": ["v", "w"],
                         "default": "x", "example": "y"}}}}}},
                "responses": {
                    "200": {"description": "d", "headers": {"Retry-After": {"description": "d",
                        "schema": {"type": "string"}}}, "content": {"application/json":
                        {"example": {"email": "e"}, "schema": {"type": "array",
                        "items": {"type": "object", "properties": {"email": {}}}}}}},
                    "400": {"description": "d"},
                },
                "x-problems": ["c"],
            }}},
            "components": {"securitySchemes": {"token": {"type": "apiKey", "in": "header",
                "name": "n", "description": "d"}}},
        });

        let spec = Spec::parse(&poisoned(document).to_string()).unwrap();
        let page = page(&spec, "https://api.example.com\"><script>");

        for part in [page.main.into_string(), page.contents.into_string()] {
            assert!(!part.contains("<script"), "{part}");
            assert!(!part.contains("\"'>"), "{part}");
        }
    }
}
