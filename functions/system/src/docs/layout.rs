//! What every page of the documentation has around its content: the head with the one
//! stylesheet, the sign, the sidebar, and the headers that let nothing else in.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::public_document::PublicDocument;

const STYLE: &str = include_str!("style.css");

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The page may apply its own stylesheet, named by its digest, and do nothing else (Content
/// Security Policy Level 3, section 2.3.1).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'none'"
    );
    #[expect(clippy::expect_used, reason = "made of literals and base64")]
    HeaderValue::from_str(&policy).expect("the policy is visible ASCII")
});

/// What is particular to a page.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) description: String,
    /// What stands in the sidebar: lists of links under headings.
    pub(super) contents: Markup,
    pub(super) main: Markup,
}

/// A page as a document that caches may keep.
pub(super) fn document(page: &Page) -> PublicDocument {
    PublicDocument::new(HTML, render(page).into_string())
}

pub(super) fn answer(document: &PublicDocument, request: &HeaderMap) -> Response {
    (
        [(CONTENT_SECURITY_POLICY, POLICY.clone())],
        document.answer(request),
    )
        .into_response()
}

fn render(page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="description" content=(page.description);
                title { (page.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.top {
                    (sign())
                    // Small screens fold the contents away; the sidebar below is for the others.
                    // Of the two, one is always `display: none`, for assistive technology too.
                    details.menu {
                        summary { "Contents" }
                        nav aria-label="Contents" { (page.contents) }
                    }
                }
                div.frame {
                    div.side {
                        (sign())
                        nav aria-label="Contents" { (page.contents) }
                    }
                    main #content tabindex="-1" { (page.main) }
                }
            }
        }
    }
}

fn sign() -> Markup {
    html! {
        a.sign href="/docs" { span { "Turnpike" } " API reference" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lets_in_the_stylesheet_that_is_on_the_page() {
        let page = Page {
            title: String::new(),
            description: String::new(),
            contents: html! {},
            main: html! {},
        };
        let page = render(&page).into_string();
        let (_, rest) = page.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();

        let digest = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));

        assert!(
            POLICY
                .to_str()
                .unwrap()
                .contains(&format!("style-src 'sha256-{digest}'"))
        );
    }

    #[test]
    fn the_stylesheet_loads_nothing() {
        for way in ["url(", "@import", "src("] {
            assert!(!STYLE.contains(way), "{way}");
        }
    }
}
