//! `GET /docs/errors` and `GET /docs/errors/{code}`: the pages that the `type` of a problem
//! document leads to.

use std::str::FromStr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use turnpike_shared::errors::ProblemCode;
use turnpike_shared::web::ApiPath;

use super::json::coloured_object;
use super::layout::{self, Page};
use super::operation::{method, sample, status};
use super::{SPEC, prose};
use crate::{App, DOCUMENTATION};

/// A code that has a page; any other names nothing.
pub(crate) struct KnownCode(ProblemCode);

impl FromStr for KnownCode {
    type Err = ();

    fn from_str(code: &str) -> Result<Self, ()> {
        find(code).map(Self).ok_or(())
    }
}

#[utoipa::path(
    get, path = "/docs/errors", tag = DOCUMENTATION, operation_id = "listProblemCodes",
    summary = "List the problem codes",
    description = "A page with every code that a problem document can have.",
    security(()),
    responses(
        (status = 200, description = "The list", body = String, content_type = "text/html",
            headers(("ETag" = String, description = "Names this version of the page"))),
        (status = 304, description = "The copy whose `ETag` came as `If-None-Match` is current"),
    ),
)]
pub(crate) async fn list(headers: HeaderMap) -> Response {
    layout::answer(&layout::document(&list_page()), &headers)
}

#[utoipa::path(
    get, path = "/docs/errors/{code}", tag = DOCUMENTATION, operation_id = "showProblemCode",
    summary = "Explain a problem code",
    description = "The page that the `type` of a problem document leads to: what has happened, \
        and what can be done about it.",
    params(("code" = String, Path, description = "A problem's `code`", example = "not-found")),
    security(()),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html",
            headers(("ETag" = String, description = "Names this version of the page"))),
        (status = 304, description = "The copy whose `ETag` came as `If-None-Match` is current"),
    ),
    extensions(("x-problems" = json!(["not-found"]))),
)]
pub(crate) async fn show(
    State(app): State<App>,
    ApiPath(KnownCode(code)): ApiPath<KnownCode>,
    headers: HeaderMap,
) -> Response {
    layout::answer(&layout::document(&page(code, &app.stage.issuer)), &headers)
}

/// The code that is written so.
pub(super) fn find(code: &str) -> Option<ProblemCode> {
    ProblemCode::ALL
        .iter()
        .copied()
        .find(|known| known.code() == code)
}

/// A code with its title, linked to its page if it has one.
pub(super) fn link(code: &str) -> Markup {
    html! {
        @match find(code) {
            Some(known) => { (link_to(known)) " " span.title { (known.title()) } },
            None => code { (code) },
        }
    }
}

fn link_to(code: ProblemCode) -> Markup {
    html! { a href=(format!("/docs/errors/{}", code.code())) { code { (code.code()) } } }
}

fn list_page() -> Page {
    Page {
        title: "Problem codes".to_owned(),
        description: "Every code that a problem document can have.".to_owned(),
        contents: contents(None),
        main: html! {
            section.intro {
                h1 { "Problem codes" }
                p {
                    "Whatever goes wrong is answered with a problem document ("
                    a href="https://www.rfc-editor.org/rfc/rfc9457" { "RFC 9457" }
                    "). Its " code { "code" } " is for programs and never changes its meaning; its "
                    code { "type" } " leads to one of these pages."
                }
                dl.problems {
                    @for code in ProblemCode::ALL {
                        div {
                            dt { (status(&code.status().to_string())) }
                            dd { p { (link(code.code())) } }
                        }
                    }
                }
            }
        },
    }
}

fn page(code: ProblemCode, base: &str) -> Page {
    Page {
        title: format!("{}: {}", code.code(), code.title()),
        description: code.explanation().to_owned(),
        contents: contents(Some(code)),
        main: html! {
            section.operation.single {
                div.about {
                    p.endpoint { (status(&code.status().to_string())) " " code { (code.code()) } }
                    h1 { (code.title()) }
                    h2 { "What happened" }
                    (prose::blocks(code.explanation()))
                    h2 { "What to do" }
                    (prose::blocks(code.remedy()))
                    (answered_by(code))
                }
                div.samples { (sample("Example", &example(code, base))) }
            }
        },
    }
}

fn contents(current: Option<ProblemCode>) -> Markup {
    html! {
        ul.pages {
            li { a href="/docs" { "API reference" } }
            li {
                a href="/docs/errors" aria-current=[current.is_none().then_some("page")] {
                    "Problem codes"
                }
            }
            li { a href="/openapi.json" { "OpenAPI document" } }
        }
        h2 { "By status" }
        ul {
            @for code in ProblemCode::ALL {
                li {
                    a.with-method
                        href=(format!("/docs/errors/{}", code.code()))
                        aria-current=[(current == Some(*code)).then_some("page")]
                    {
                        (status(&code.status().to_string())) " " span { (code.code()) }
                    }
                }
            }
        }
    }
}

/// The operations that the OpenAPI document says may answer with the code.
fn answered_by(code: ProblemCode) -> Markup {
    let operations: Vec<_> = SPEC
        .operations()
        .filter(|operation| operation.problems.contains(&code.code()))
        .collect();
    html! {
        @if !operations.is_empty() {
            h2 { "Where it comes from" }
            ul.operations {
                @for operation in operations {
                    li {
                        a.with-method href=(format!("/docs#{}", operation.anchor)) {
                            (method(operation.method)) " " span { (operation.summary) }
                        }
                    }
                }
            }
        }
    }
}

fn example(code: ProblemCode, base: &str) -> Markup {
    let reason = StatusCode::from_u16(code.status())
        .ok()
        .and_then(|it| it.canonical_reason());
    html! {
        "HTTP/1.1 " (code.status()) " " (reason.unwrap_or_default()) "\n"
        "Content-Type: application/problem+json\n\n"
        (coloured_object(&example_document(code, base)))
    }
}

/// The members in the order in which the API writes them.
fn example_document(code: ProblemCode, base: &str) -> Vec<(&'static str, Value)> {
    let error = match code {
        ProblemCode::ValidationFailed => Some(("email", "required", "The field is missing.")),
        ProblemCode::WeakPassword => Some((
            "password",
            "too-guessable",
            "Add another word or two. Uncommon words are better.",
        )),
        _ => None,
    };
    let errors = error.map(|(field, code, detail)| {
        (
            "errors",
            json!([{"field": field, "code": code, "detail": detail}]),
        )
    });
    let members = [
        ("type", json!(format!("{base}/docs/errors/{}", code.code()))),
        ("title", json!(code.title())),
        ("status", json!(code.status())),
        ("detail", json!(first_sentence(code.explanation()))),
        ("code", json!(code.code())),
        ("request_id", json!("0199a3c45d6e7f809a1b2c3d4e5f6071")),
    ];
    members.into_iter().chain(errors).collect()
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_code() {
        let list = list_page().main.into_string();

        for code in ProblemCode::ALL {
            assert!(
                list.contains(&format!("href=\"/docs/errors/{}\"", code.code())),
                "{code:?}"
            );
        }
    }

    #[test]
    fn a_page_says_what_happened_and_what_to_do() {
        for code in ProblemCode::ALL.iter().copied() {
            let main = page(code, "https://api.example.com").main.into_string();

            let text = main.replace("&quot;", "\"").replace("&amp;", "&");
            for part in [code.title(), code.explanation(), code.remedy()] {
                assert!(text.contains(part), "{code:?} lacks {part}");
            }
            assert!(main.contains(&format!(
                "https://api.example.com/docs/errors/{}",
                code.code()
            )));
        }
    }
}
