//! The function `history`: what users asked for, and what was done for them.
//!
//! It writes nothing down; queries are recorded by who answers them, jobs by who does them. A URL leads
//! to one file: `GET /api/v1/analytics/usage` is `analytics/usage.rs`, `GET /api/v1/history/queries` is
//! `queries/list.rs`.

mod analytics;
mod app;
mod batch_jobs;
mod queries;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(queries::list::list))
        .routes(routes!(queries::delete::delete))
        .routes(routes!(batch_jobs::list))
        .routes(routes!(analytics::usage::usage))
}

/// The function, ready to be served.
pub fn router(app: App) -> Router {
    let (routes, _) = described_routes().split_for_parts();
    let foundation = app.foundation().clone();
    foundation.around(routes.with_state(app))
}

/// The function's part of the OpenAPI document.
pub fn openapi() -> OpenApi {
    described_routes().into_openapi()
}
