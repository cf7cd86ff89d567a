//! `GET /.well-known/openid-configuration`: issuer, key set and algorithms.
//!
//! Only what a verifier of access tokens needs, which is what API Gateway reads; Turnpike is no
//! OpenID provider.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::CACHE;
use crate::App;

#[derive(Serialize, ToSchema)]
#[schema(as = OpenIdConfiguration)]
struct ConfigurationBody {
    #[schema(format = "uri", example = "https://api.example.com")]
    issuer: String,
    #[schema(
        format = "uri",
        example = "https://api.example.com/.well-known/jwks.json"
    )]
    jwks_uri: String,
    #[schema(example = json!(["RS256"]))]
    id_token_signing_alg_values_supported: [&'static str; 1],
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
}

/// Show the issuer
///
/// The issuer, the address of its key set and its algorithm, as JWT authorizers look them up.
#[utoipa::path(
    get, path = "/.well-known/openid-configuration", operation_id = "showIssuer",
    tag = "Discovery",
    responses((status = 200, description = "The issuer's configuration", body = ConfigurationBody)),
    security(()),
)]
pub(crate) async fn openid_configuration(State(app): State<App>) -> Response {
    let keys = app.keys().current().await;
    let body = ConfigurationBody {
        issuer: app.issuer().to_owned(),
        jwks_uri: format!("{}/.well-known/jwks.json", app.issuer()),
        id_token_signing_alg_values_supported: [keys.algorithm().name()],
        response_types_supported: ["token"],
        subject_types_supported: ["public"],
    };
    ([(CACHE_CONTROL, CACHE)], Json(body)).into_response()
}
