//! The function `users`: what users do with their own account, the API keys that they make, and
//! what they may still do under their limits.
//!
//! It holds no private key: it verifies access tokens with the public keys that `auth` publishes.
//! A URL leads to one file: `POST /api/v1/users/api-keys` is `api_keys/create.rs`,
//! `GET /api/v1/users/limits/explain` is `limits/explain.rs`, `POST /api/v1/keys/verify` is
//! `keys/verify.rs`.

mod api_keys;
mod app;
mod fields;
mod keys;
mod limits;
mod me;
mod quota;
mod usage;

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
        .routes(routes!(me::show, me::rename))
        .routes(routes!(api_keys::list::list, api_keys::create::create))
        .routes(routes!(
            api_keys::show::show,
            api_keys::change::change,
            api_keys::revoke::revoke
        ))
        .routes(routes!(api_keys::rotate::rotate))
        .routes(routes!(quota::quota))
        .routes(routes!(usage::usage))
        .routes(routes!(limits::explain::explain))
        .routes(routes!(keys::verify::verify))
        .routes(routes!(limits::check::check))
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
