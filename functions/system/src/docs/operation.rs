//! One operation on the reference page: on the left what it takes and gives, on the right how
//! that looks.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::reference::scheme_anchor;
use super::spec::{
    Access, Body, Constraint, Content, Field, Operation, Parameter, Response, Scheme,
};
use super::{curl, errors, json, prose};

/// Who sends a field: what a request may leave out is the rule, what an answer may is not.
#[derive(Clone, Copy)]
enum Side {
    Request,
    Answer,
}

pub(super) fn section(operation: &Operation<'_>, schemes: &[Scheme<'_>], base: &str) -> Markup {
    let answers = || {
        operation
            .responses
            .iter()
            .filter(|response| !response.is_problem())
    };
    html! {
        section.operation #(operation.anchor) aria-labelledby=(heading_id(operation)) {
            div.about {
                h3 #(heading_id(operation)) {
                    a href=(format!("#{}", operation.anchor)) { (operation.summary) }
                    @if operation.is_deprecated { " " span.tag { "deprecated" } }
                }
                p.endpoint { (method(operation.method)) " " code { (path(operation.path)) } }
                (access(&operation.access))
                (prose::blocks(operation.description))
                (parameters(&operation.parameters))
                @if let Some(body) = &operation.body { (request_body(body)) }
                @for response in answers() { (answer(response)) }
                (problems(operation))
            }
            // It scrolls by itself on wide screens, so the keyboard must reach it.
            div.samples
                role="group"
                tabindex="0"
                aria-label=(format!("Examples: {}", operation.summary))
            {
                (sample("Request", &html! { (curl::line(operation, schemes, base)) }))
                @for response in answers() { (example(response)) }
            }
        }
    }
}

/// A method as a coloured word.
pub(super) fn method(method: &str) -> Markup {
    html! { span class=(format!("method {method}")) { (method.to_uppercase()) } }
}

/// A status as a coloured number.
pub(super) fn status(status: &str) -> Markup {
    let class = match status.as_bytes().first() {
        Some(b'2') => "success",
        Some(b'1' | b'3') => "redirection",
        _ => "problem",
    };
    html! { span class=(format!("status {class}")) { (status) } }
}

/// A path that may be broken at its slashes, with its parameters told apart.
fn path(path: &str) -> Markup {
    let is_parameter = |segment: &str| segment.starts_with('{');
    html! {
        @for (position, segment) in path.split('/').enumerate() {
            @if position > 0 { wbr; "/" }
            @if is_parameter(segment) { var { (segment) } } @else { (segment) }
        }
    }
}

fn heading_id(operation: &Operation<'_>) -> String {
    format!("{}-heading", operation.anchor)
}

fn access(access: &Access<'_>) -> Markup {
    html! {
        p.access {
            @if access.alternatives.is_empty() {
                "Open: needs no credential."
            } @else {
                @if access.is_optional { "Open; takes " } @else { "Needs " }
                @for (position, all) in access.alternatives.iter().enumerate() {
                    @if position > 0 { " or " }
                    @for (position, needed) in all.iter().enumerate() {
                        @if position > 0 { " with " }
                        a href=(format!("#{}", scheme_anchor(needed.scheme))) { (needed.scheme) }
                        @for scope in &needed.scopes { " " code { (scope) } }
                    }
                }
                "."
            }
        }
    }
}

fn parameters(parameters: &[Parameter<'_>]) -> Markup {
    let rows = html! {
        @for parameter in parameters {
            (row(&parameter.field, Some(parameter.place), Side::Request))
        }
    };
    html! {
        @if !parameters.is_empty() {
            h4 { "Parameters" }
            (table("Parameters of the request", &rows))
        }
    }
}

fn request_body(body: &Body<'_>) -> Markup {
    html! {
        h4 {
            "Request body"
            (media_type(&body.content))
            @if !body.is_required { " " span.tag { "optional" } }
        }
        (prose::blocks(body.description))
        (content("Fields of the request body", &body.content, Side::Request))
        @if body.content.is_closed { p.note { "Any other field is refused." } }
    }
}

fn answer(response: &Response<'_>) -> Markup {
    html! {
        h4 {
            "Answer " (status(response.status))
            @if let Some(content) = &response.content { (media_type(content)) }
        }
        (prose::blocks(response.description))
        @if !response.headers.is_empty() { (headers(&response.headers)) }
        @if let Some(answered) = &response.content {
            (content("Fields of the answer", answered, Side::Answer))
        }
    }
}

/// The headers of an answer.
pub(super) fn headers(headers: &[Field]) -> Markup {
    let rows = html! {
        @for header in headers { (row(header, Some("header"), Side::Answer)) }
    };
    table("Headers of the answer", &rows)
}

fn media_type(content: &Content<'_>) -> Markup {
    html! { " " span.media { (content.media_type) } }
}

fn content(caption: &str, content: &Content<'_>, side: Side) -> Markup {
    let rows = html! { @for field in &content.fields { (row(field, None, side)) } };
    html! {
        @if !content.fields.is_empty() {
            @if content.kind != "object" { p.note { "It is: " (content.kind) "." } }
            (table(caption, &rows))
        }
    }
}

fn table(caption: &str, rows: &Markup) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { th scope="col" { "Name and type" } th scope="col" { "Meaning" } } }
            tbody { (rows) }
        }
    }
}

fn row(field: &Field, place: Option<&str>, side: Side) -> Markup {
    let presence = match (side, field.is_required) {
        (Side::Request, true) => Some("required"),
        (Side::Answer, false) => Some("may be absent"),
        (Side::Request, false) | (Side::Answer, true) => None,
    };
    html! {
        tr {
            th scope="row" {
                code { span.prefix { (breakable(&field.prefix)) } (breakable(&field.name)) }
                span.kind { (field.kind) @if let Some(place) = place { ", in " (place) } }
                @if let Some(presence) = presence { span.presence { (presence) } }
                @if field.is_deprecated { span.tag { "deprecated" } }
            }
            td { (prose::blocks(&field.description)) (constraints(&field.constraints)) }
        }
    }
}

/// A name that may be broken between its words.
fn breakable(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive(['.', '_', '-']) { (part) wbr; }
    }
}

fn constraints(constraints: &[Constraint]) -> Markup {
    html! {
        @if !constraints.is_empty() {
            p.constraints {
                @for (position, constraint) in constraints.iter().enumerate() {
                    @if position > 0 { "; " }
                    (constraint.words)
                    @for (position, value) in constraint.values.iter().enumerate() {
                        @if position > 0 { "," } " " code { (value) }
                    }
                }
            }
        }
    }
}

/// The statuses other than success, each with the codes that come with it.
fn problems(operation: &Operation<'_>) -> Markup {
    let by_status = problems_by_status(operation);
    html! {
        @if !by_status.is_empty() {
            h4 { "Problems" }
            dl.problems {
                @for (number, description, codes) in &by_status {
                    div {
                        dt { (status(number)) }
                        dd {
                            @if codes.is_empty() { (prose::inline(description)) }
                            @for code in codes { p { (errors::link(code)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Status, description and codes; a code whose status is not among the responses brings its own.
fn problems_by_status<'a>(operation: &'a Operation<'a>) -> Vec<(String, &'a str, Vec<&'a str>)> {
    let mut found: Vec<(String, &str, Vec<&str>)> = operation
        .responses
        .iter()
        .filter(|response| response.is_problem())
        .map(|response| (response.status.to_owned(), response.description, Vec::new()))
        .collect();
    for code in &operation.problems {
        let status =
            errors::find(code).map_or_else(|| "?".to_owned(), |code| code.status().to_string());
        match found.iter_mut().find(|(known, ..)| *known == status) {
            Some((.., codes)) => codes.push(code),
            None => found.push((status, "", vec![code])),
        }
    }
    found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    found
}

fn example(response: &Response<'_>) -> Markup {
    let stated = response
        .content
        .as_ref()
        .and_then(|content| content.example.as_ref());
    let reason = response
        .status
        .parse()
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok()?.canonical_reason());
    html! {
        @if let Some(example) = stated {
            (sample(
                &format!("Answer {} {}", response.status, reason.unwrap_or_default()),
                &json::coloured(example),
            ))
        }
    }
}

/// A text as a terminal shows it.
pub(super) fn sample(caption: &str, text: &Markup) -> Markup {
    html! {
        figure.sample {
            figcaption { (caption) }
            pre { code { (text) } }
        }
    }
}
