//! `PUT /api/v1/auth/password/change`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::{Password, Verdict};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::stores::{Account, PasswordChanged, StoredPassword};
use turnpike_shared::web::{ApiJson, ClientIp, SignedInCaller};
use utoipa::ToSchema;

use crate::failed_passwords::limited_by_failures;
use crate::{App, fields};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChangeRequest {
    #[schema(value_type = String, format = Password, example = "plum-violin-harbour-7")]
    current_password: SecretString,
    /// 8 to 128 characters, and not too easy to guess.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "quartz-lantern-orchid-3")]
    new_password: SecretString,
}

/// Change the password
///
/// Ends the user's other sessions at once and voids outstanding reset tokens.
#[utoipa::path(
    put, path = "/api/v1/auth/password/change", operation_id = "changePassword", tag = "Accounts",
    request_body = PasswordChangeRequest,
    responses((status = 204, description = "The password is changed")),
    extensions(("x-problems" = json!(["wrong-password", "weak-password"]))),
    security(("access_token" = [])),
)]
pub(crate) async fn change(
    State(app): State<App>,
    caller: SignedInCaller,
    ClientIp(ip): ClientIp,
    ApiJson(request): ApiJson<PasswordChangeRequest>,
) -> Result<StatusCode, Problem> {
    let account = app.accounts().account(caller.user).await?;
    let Account { user, password } = account.ok_or_else(Problem::unauthenticated)?;
    let known = [
        user.email.as_str(),
        user.full_name.as_deref().unwrap_or_default(),
    ];
    let new = fields::new_password("new_password", request.new_password, &known)
        .map_err(|error| fields::problem_of(vec![error]))?;
    let current = Arc::new(Password::presented(request.current_password));
    let check = checked(&app, current, password);
    let checked = limited_by_failures(&app, &user.email.key(), ip, check).await?;
    let hash = app.hasher().hash(new).await.map_err(Problem::internal)?;
    let now = app.clock().now();
    let changed = app
        .accounts()
        .change_password(user.id, &checked, &hash, caller.session, now);
    match app.admission().changing(user.id, changed).await? {
        PasswordChanged::Yes => Ok(StatusCode::NO_CONTENT),
        PasswordChanged::Superseded => Err(wrong_password()),
        PasswordChanged::NotSignedIn => Err(Problem::unauthenticated()),
    }
}

/// The stored password, if the one that was sent is it.
async fn checked(
    app: &App,
    sent: Arc<Password>,
    stored: Option<StoredPassword>,
) -> Result<StoredPassword, Problem> {
    let hash = stored.as_ref().map(|stored| stored.hash.clone());
    let verdict = app.hasher().verify(sent, hash).await;
    match (verdict.map_err(Problem::internal)?, stored) {
        (Verdict::Matches | Verdict::MatchesOldKind, Some(stored)) => Ok(stored),
        _ => Err(wrong_password()),
    }
}

fn wrong_password() -> Problem {
    Problem::new(
        ProblemCode::WrongPassword,
        "current_password is not the current password.",
    )
}
