//! The function `auth`: accounts, sign-in, sessions, one-time tokens, and the public keys that
//! others verify access tokens with.
//!
//! It alone reads the credentials table and the private keys. A URL leads to one file:
//! `POST /api/v1/auth/password/reset/confirm` is `password/reset_confirm.rs`.

mod answers;
mod app;
mod failed_passwords;
mod failed_sign_ins;
mod fields;
mod key_ring;
mod login;
mod logout;
mod logout_all;
mod me;
mod origin;
mod password;
mod refresh;
mod register;
mod repeated_registration;
mod sessions;
mod verify_email;
mod well_known;

use axum::Router;
use axum::middleware::from_fn_with_state;
use turnpike_shared::web;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, Parts, StartError};

/// Every route of the function, and its description.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(logout_all::logout_all))
        .routes(routes!(me::me))
        .routes(routes!(sessions::list::list))
        .routes(routes!(sessions::end::end))
        .routes(routes!(verify_email::confirm::confirm))
        .routes(routes!(verify_email::request::request))
        .routes(routes!(password::reset::request))
        .routes(routes!(password::reset_confirm::confirm))
        .routes(routes!(password::change::change))
        .routes(routes!(well_known::jwks::jwks))
        .routes(routes!(
            well_known::openid_configuration::openid_configuration
        ))
        .routes(routes!(well_known::security_txt::security_txt))
}

/// The function, ready to be served.
pub fn router(app: App) -> Router {
    let (routes, _) = described_routes().split_for_parts();
    let context = app.function_context();
    let cors = app.cors();
    let kept = routes.layer(from_fn_with_state(app.clone(), web::keep_answers::<App>));
    let admitted = kept.layer(from_fn_with_state(app.clone(), web::admit::<App>));
    let counted = admitted.layer(from_fn_with_state(
        app.clone(),
        failed_sign_ins::count_failed_sign_ins,
    ));
    web::with_conventions(counted.with_state(app), context, &cors)
}

/// The function's part of the OpenAPI document.
pub fn openapi() -> OpenApi {
    described_routes().into_openapi()
}
