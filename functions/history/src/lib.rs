//! The function `history`: what users asked for.
//!
//! It reads and changes nothing. A URL leads to one file: `GET /api/v1/analytics/usage` is
//! `analytics/usage.rs`.

mod analytics;
mod app;

use axum::Router;
use axum::middleware::from_fn_with_state;
use turnpike_shared::web;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(analytics::usage::usage))
}

/// The function, ready to be served.
pub fn router(app: App) -> Router {
    let (routes, _) = described_routes().split_for_parts();
    let context = app.function_context();
    let cors = app.cors();
    let admitted = routes.layer(from_fn_with_state(app.clone(), web::admit::<App>));
    web::with_conventions(admitted.with_state(app), context, &cors)
}

/// The function's part of the OpenAPI document.
pub fn openapi() -> OpenApi {
    described_routes().into_openapi()
}
