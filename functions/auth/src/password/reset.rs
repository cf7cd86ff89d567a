//! `POST /api/v1/auth/password/reset`.
//!
//! Nothing here looks for an account: the mail is addressed to an e-mail address, and whoever
//! makes the mail finds out whether there is one. So there is nothing that the answer could tell.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use turnpike_shared::errors::Problem;
use turnpike_shared::mail::MailEvent;
use turnpike_shared::web::ApiJson;
use utoipa::ToSchema;

use crate::{App, fields};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordResetRequest {
    #[schema(format = Email, example = "ada@example.com")]
    email: String,
}

/// Ask for a reset mail
///
/// Sends a mail with a reset token if the address has an active account, at most 3 mails an hour
/// to one address. The answer is the same in every case.
#[utoipa::path(
    post, path = "/api/v1/auth/password/reset", operation_id = "requestPasswordReset",
    tag = "Accounts",
    request_body = PasswordResetRequest,
    responses((status = 202, description = "A mail goes out, if one is due")),
    security(()),
)]
pub(crate) async fn request(
    State(app): State<App>,
    ApiJson(request): ApiJson<PasswordResetRequest>,
) -> Result<StatusCode, Problem> {
    let email = fields::email(&request.email).map_err(|error| Problem::validation(vec![error]))?;
    let key = email.key();
    app.accounts()
        .queue_mail(&key, MailEvent::ResetPassword { email }, app.clock().now())
        .await?;
    Ok(StatusCode::ACCEPTED)
}
