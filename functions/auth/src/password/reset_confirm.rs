//! `POST /api/v1/auth/password/reset/confirm`.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::OneTimeToken;
use turnpike_shared::errors::Problem;
use turnpike_shared::stores::Redeemed;
use turnpike_shared::web::ApiJson;
use utoipa::ToSchema;

use crate::verify_email::confirm::invalid_token;
use crate::{App, fields};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordResetConfirmRequest {
    /// The token from the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// 8 to 128 characters, and not too easy to guess.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "quartz-lantern-orchid-3")]
    new_password: SecretString,
}

/// Set a new password with a reset token
///
/// Ends every session and voids every other one-time token of the account. As the token proves
/// the address, the account is verified from then on.
#[utoipa::path(
    post, path = "/api/v1/auth/password/reset/confirm", operation_id = "confirmPasswordReset",
    tag = "Accounts",
    request_body = PasswordResetConfirmRequest,
    responses((status = 204, description = "The password is set")),
    extensions(("x-problems" = json!(["invalid-token", "weak-password"]))),
    security(()),
)]
pub(crate) async fn confirm(
    State(app): State<App>,
    ApiJson(request): ApiJson<PasswordResetConfirmRequest>,
) -> Result<StatusCode, Problem> {
    let now = app.clock().now();
    let digest = OneTimeToken::presented(request.token).digest();
    let owner = app.accounts().owner_of_reset(&digest, now).await?;
    let known = owner.as_ref().map(|user| {
        [
            user.email.as_str(),
            user.full_name.as_deref().unwrap_or_default(),
        ]
    });
    let known = known
        .as_ref()
        .map(<[&str; 2]>::as_slice)
        .unwrap_or_default();
    let password = fields::new_password("new_password", request.new_password, known)
        .map_err(|error| fields::problem_of(vec![error]))?;
    let Some(owner) = &owner else {
        return Err(invalid_token());
    };
    let hash = app
        .hasher()
        .hash(password)
        .await
        .map_err(Problem::internal)?;
    let reset = app.accounts().reset_password(&digest, &hash, now);
    match app.admission().changing(owner.id, reset).await? {
        Redeemed::Yes => Ok(StatusCode::NO_CONTENT),
        Redeemed::InvalidToken => Err(invalid_token()),
    }
}
