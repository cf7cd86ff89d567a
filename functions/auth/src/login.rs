//! `POST /api/v1/auth/login`: a session for who knows the password.
//!
//! An unknown e-mail, a wrong password and a deactivated account take the same calls to the
//! database and the same hash, and get the same answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::{Password, Verdict};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{SignedIn, Standing};
use turnpike_shared::web::ApiJson;
use utoipa::ToSchema;

use crate::answers::SignedInBody;
use crate::origin::Origin;
use crate::{App, fields};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[schema(format = Email, example = "ada@example.com")]
    email: String,
    #[schema(value_type = String, format = Password, example = "plum-violin-harbour-7")]
    password: SecretString,
}

/// Sign in
///
/// Makes a session. The oldest one ends when there would be more than 50.
#[utoipa::path(
    post, path = "/api/v1/auth/login", operation_id = "login", tag = "Accounts",
    request_body = LoginRequest,
    responses((status = 200, description = "The user and a new session", body = SignedInBody)),
    extensions(("x-problems" = json!(["invalid-credentials"]))),
    security(()),
)]
pub(crate) async fn login(
    State(app): State<App>,
    Origin(origin): Origin,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<Json<SignedInBody>, Problem> {
    let email = fields::email(&request.email).map_err(|error| Problem::validation(vec![error]))?;
    let password = Arc::new(Password::presented(request.password));
    let now = app.clock().now();
    // Where there is no account, one that does not exist is looked up all the same.
    let id = app
        .accounts()
        .owner_of(&email.key())
        .await?
        .unwrap_or_else(|| UserId::new(now));
    let stored = app
        .accounts()
        .account(id)
        .await?
        .and_then(|account| account.password);
    let hash = stored.as_ref().map(|stored| stored.hash.clone());
    let verdict = app.hasher().verify(Arc::clone(&password), hash).await;
    let upgrade = match (verdict.map_err(Problem::internal)?, stored.is_some()) {
        (Verdict::Matches, true) => None,
        (Verdict::MatchesOldKind, true) => Some(
            app.hasher()
                .rehash(password)
                .await
                .map_err(Problem::internal)?,
        ),
        _ => return Err(invalid_credentials()),
    };
    let Some(checked) = stored else {
        return Err(invalid_credentials());
    };
    match app
        .accounts()
        .sign_in(id, &checked, upgrade.as_ref(), &origin, now)
        .await?
    {
        SignedIn::Superseded => Err(invalid_credentials()),
        SignedIn::Yes(standing) => {
            let Standing { user, session } = *standing;
            let tokens = app.tokens(&user, &session, now).await?;
            Ok(Json(SignedInBody {
                user: user.into(),
                tokens,
            }))
        }
    }
}

fn invalid_credentials() -> Problem {
    Problem::new(
        ProblemCode::InvalidCredentials,
        "No active account has this e-mail and password.",
    )
}
