//! `POST /api/v1/auth/verify-email`.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::OneTimeToken;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::stores::Redeemed;
use turnpike_shared::web::{ApiJson, SignedInCaller};
use utoipa::ToSchema;

use crate::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyEmailRequest {
    /// The token from the mail.
    #[schema(value_type = String)]
    token: SecretString,
}

/// Verify the e-mail address
///
/// Spends the token from the verification mail. It takes a session of the account itself, so that
/// nobody verifies an account that another made with their address.
#[utoipa::path(
    post, path = "/api/v1/auth/verify-email", operation_id = "verifyEmail", tag = "Accounts",
    request_body = VerifyEmailRequest,
    responses((status = 204, description = "The address is verified")),
    extensions(("x-problems" = json!(["invalid-token"]))),
    security(("access_token" = [])),
)]
pub(crate) async fn confirm(
    State(app): State<App>,
    caller: SignedInCaller,
    ApiJson(request): ApiJson<VerifyEmailRequest>,
) -> Result<StatusCode, Problem> {
    let digest = OneTimeToken::presented(request.token).digest();
    let now = app.clock().now();
    let verified = app.accounts().verify_email(caller.user, &digest, now);
    match app.admission().changing(caller.user, verified).await? {
        Redeemed::Yes => Ok(StatusCode::NO_CONTENT),
        Redeemed::InvalidToken => Err(invalid_token()),
    }
}

/// One answer for every token that is not good here and now.
pub(crate) fn invalid_token() -> Problem {
    Problem::new(
        ProblemCode::InvalidToken,
        "The token is spent, expired, void or unknown.",
    )
}
