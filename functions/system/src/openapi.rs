//! `GET /openapi.json`: the API's description for programs.
//!
//! The document is made from the code of all functions and committed; a binary holds it as it is.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use crate::DOCUMENTATION;
use crate::public_document::PublicDocument;

pub(crate) const DOCUMENT: &str = include_str!("../openapi.json");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

static ANSWER: LazyLock<PublicDocument> = LazyLock::new(|| PublicDocument::new(JSON, DOCUMENT));

#[utoipa::path(
    get, path = "/openapi.json", tag = DOCUMENTATION, operation_id = "showOpenApiDocument",
    summary = "Describe the API for programs",
    description = "The OpenAPI 3.1 document of all routes, from which clients can be generated. \
        It changes with a release only.",
    params(
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the copy at hand"),
    ),
    security(()),
    responses(
        (status = 200, description = "The OpenAPI document", body = Value,
            content_type = "application/json",
            headers(("ETag" = String, description = "Names this version of the document"))),
        (status = 304, description = "The copy at hand is the current one"),
    ),
)]
pub(crate) async fn show(headers: HeaderMap) -> Response {
    ANSWER.answer(&headers)
}
