//! `PUT /api/v1/auth/password/change`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::{Password, Verdict};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::stores::PasswordChanged;
use turnpike_shared::web::ApiJson;
use utoipa::ToSchema;

use crate::caller::Caller;
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
    caller: Caller,
    ApiJson(request): ApiJson<PasswordChangeRequest>,
) -> Result<StatusCode, Problem> {
    let user = &caller.user;
    let known = [
        user.email.as_str(),
        user.full_name.as_deref().unwrap_or_default(),
    ];
    let new = fields::new_password("new_password", request.new_password, &known)
        .map_err(|error| fields::problem_of(vec![error]))?;
    let current = Arc::new(Password::presented(request.current_password));
    let stored = app
        .accounts()
        .account(user.id)
        .await?
        .and_then(|account| account.password);
    let hash = stored.as_ref().map(|stored| stored.hash.clone());
    let verdict = app
        .hasher()
        .verify(current, hash)
        .await
        .map_err(Problem::internal)?;
    let (Verdict::Matches | Verdict::MatchesOldKind, Some(checked)) = (verdict, stored) else {
        return Err(wrong_password());
    };
    let hash = app.hasher().hash(new).await.map_err(Problem::internal)?;
    let now = app.clock().now();
    match app
        .accounts()
        .change_password(user.id, &checked, &hash, caller.session.id, now)
        .await?
    {
        PasswordChanged::Yes => Ok(StatusCode::NO_CONTENT),
        PasswordChanged::Superseded => Err(wrong_password()),
        PasswordChanged::NotSignedIn => Err(Problem::unauthenticated()),
    }
}

fn wrong_password() -> Problem {
    Problem::new(
        ProblemCode::WrongPassword,
        "current_password is not the current password.",
    )
}
