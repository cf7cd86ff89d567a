//! `GET /docs`: the reference, for people. The server renders it from the OpenAPI document, so
//! that it cannot say anything else; it needs no script and nothing from elsewhere.

mod curl;
pub(crate) mod errors;
mod json;
mod layout;
mod operation;
mod prose;
mod reference;
mod spec;

use std::sync::{LazyLock, OnceLock};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use self::spec::Spec;
use crate::openapi::DOCUMENT;
use crate::public_document::PublicDocument;
use crate::{App, DOCUMENTATION};

static SPEC: LazyLock<Spec> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "a part of the program, which a test reads"
    )]
    Spec::parse(DOCUMENT).expect("the embedded OpenAPI document is JSON")
});

/// The page, rendered when it is first asked for: no cold start pays for it.
#[derive(Default)]
pub(crate) struct ReferencePage(OnceLock<PublicDocument>);

impl ReferencePage {
    fn at(&self, base: &str) -> &PublicDocument {
        self.0
            .get_or_init(|| layout::document(&reference::page(&SPEC, base)))
    }
}

#[utoipa::path(
    get, path = "/docs", tag = DOCUMENTATION, operation_id = "showReference",
    summary = "Show the reference",
    description = "This page: every operation with its parameters, bodies, answers and problems, \
        and a curl line to try it with.",
    security(()),
    responses(
        (status = 200, description = "The reference", body = String, content_type = "text/html",
            headers(("ETag" = String, description = "Names this version of the page"))),
        (status = 304, description = "The copy whose `ETag` came as `If-None-Match` is current"),
    ),
)]
pub(crate) async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    layout::answer(app.reference.at(&app.stage.issuer), &headers)
}
