//! `GET /.well-known/jwks.json`: the keys that verify access tokens (RFC 7517).

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::CACHE;
use crate::App;

#[derive(Serialize, ToSchema)]
#[schema(as = JsonWebKeySet)]
struct KeySetBody<'a> {
    /// JSON Web Keys, each with `kid`, `alg` and `use`.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<&'a jsonwebtoken::jwk::Jwk>,
}

/// Show the public keys
///
/// What API Gateway's JWT authorizers, and anybody else, verify access tokens with.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "showKeySet", tag = "Discovery",
    responses((status = 200, description = "The key set", body = KeySetBody)),
    security(()),
)]
pub(crate) async fn jwks(State(app): State<App>) -> Response {
    let keys = app.keys().current().await;
    (
        [(CACHE_CONTROL, CACHE)],
        Json(KeySetBody {
            keys: keys.public().public(),
        }),
    )
        .into_response()
}
