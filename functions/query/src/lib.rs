//! The function `query`: what users ask of upstreams.
//!
//! A URL leads to one file or folder: `POST /api/v1/query` is `query.rs`, and all of `/api/v1/proxy` is
//! `proxy`.

mod app;
mod http_cache;
mod proxy;
mod query;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(query::query))
        .merge(proxy::described_routes())
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
