//! `GET /`: what this is, and where to read on.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, DOCUMENTATION};

/// What answers at this address.
#[derive(Serialize, ToSchema)]
pub(crate) struct Index {
    #[schema(example = "Turnpike")]
    name: &'static str,
    /// The release that runs.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The address of the reference.
    #[schema(format = "uri", example = "https://api.example.com/docs")]
    docs: String,
    /// The address of the health report.
    #[schema(format = "uri", example = "https://api.example.com/health")]
    health: String,
}

#[utoipa::path(
    get, path = "/", tag = DOCUMENTATION, operation_id = "showIndex",
    summary = "Say what this is",
    description = "The name and release of the service, and where its reference and its health \
        report stand.",
    security(()),
    responses((status = 200, description = "What answers at this address", body = Index)),
)]
pub(crate) async fn show(State(app): State<App>) -> Json<Index> {
    Json(Index {
        name: "Turnpike",
        version: turnpike_shared::VERSION,
        docs: app.url("/docs"),
        health: app.url("/health"),
    })
}
