//! The function `cache`: what is cached for users, as far as it is theirs to see and to clear.
//!
//! A URL leads to one file: `POST /api/v1/cache/clear` is `clear.rs`.

mod app;
mod clear;
mod invalidate;
mod stats;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(stats::stats))
        .routes(routes!(invalidate::invalidate))
        .routes(routes!(clear::clear))
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
