//! The function `content`: what products keep with Turnpike: their users' preferences and behaviour,
//! and content at locations.
//!
//! A URL leads to one file: `PUT /api/v1/preferences` is `preferences/replace.rs`,
//! `POST /api/v1/behavior` is `behavior/report.rs`, `GET /api/v1/content/{location_id}` is
//! `content/show.rs`.

mod app;
mod behavior;
mod content;
mod fields;
mod preconditions;
mod preferences;

use axum::Router;
use axum::middleware::from_fn_with_state;
use turnpike_shared::web;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            preferences::show::show,
            preferences::create::create,
            preferences::replace::replace,
            preferences::delete::delete
        ))
        .routes(routes!(behavior::list::list, behavior::report::report))
        .routes(routes!(
            content::show::show,
            content::put::put,
            content::delete::delete
        ))
}

/// The function, ready to be served.
pub fn router(app: App) -> Router {
    let (routes, _) = described_routes().split_for_parts();
    let foundation = app.foundation().clone();
    let kept = routes.layer(from_fn_with_state(app.clone(), web::keep_answers::<App>));
    foundation.around(kept.with_state(app))
}

/// The function's part of the OpenAPI document.
pub fn openapi() -> OpenApi {
    described_routes().into_openapi()
}
