//! `POST /api/v1/auth/verify-email/request`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::mail::MailEvent;

use crate::App;

/// Ask for another verification mail
///
/// Sends a mail with a new token, at most 3 mails an hour to one address. An address that is
/// verified already gets none.
#[utoipa::path(
    post, path = "/api/v1/auth/verify-email/request", operation_id = "requestVerificationMail",
    tag = "Accounts",
    responses((status = 202, description = "A mail goes out, if one is due")),
    security(("access_token" = [])),
)]
pub(crate) async fn request(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let user = app.admission().user_of(&caller).await?;
    if let Some(user) = user.filter(|user| !user.is_verified) {
        let event = MailEvent::VerifyEmail { user_id: user.id };
        let now = app.clock().now();
        app.accounts()
            .queue_mail(&user.email.key(), event, now)
            .await?;
    }
    Ok(StatusCode::ACCEPTED)
}
