//! The function `admin`: what admins see and change of users and upstreams, and what support may see.
//!
//! Who may do what says the scope: `admin:read` to read, `admin:write` to change. Every change is
//! in force on the user's next request, on every instance, and is in the audit log. A URL leads to
//! one file: `PUT /api/v1/admin/users/{id}/quota` is `users/quota/replace.rs`.

mod analytics;
mod app;
mod audit_log;
mod cache;
mod policy;
mod upstreams;
mod users;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(users::list::list))
        .routes(routes!(users::show::show, users::change::change))
        .routes(routes!(
            users::quota::show::show,
            users::quota::replace::replace,
            users::quota::end::end
        ))
        .routes(routes!(users::quota::reset::reset))
        .routes(routes!(users::sessions::revoke::revoke))
        .routes(routes!(policy::policy))
        .routes(routes!(cache::stats::stats))
        .routes(routes!(cache::clear::clear))
        .routes(routes!(upstreams::list::list))
        .routes(routes!(upstreams::reset::reset))
        .routes(routes!(analytics::usage::usage))
        .routes(routes!(audit_log::list::list))
        .routes(routes!(audit_log::verify::verify))
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
