//! `POST /api/v1/auth/login`: a session for who knows the password.
//!
//! An unknown e-mail, a wrong password and a deactivated account take the same calls to the
//! database and the same hash, and get the same answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::{EmailAddress, Password, PasswordHash, Verdict};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{SignedIn, StoredPassword};
use turnpike_shared::web::{ApiJson, ClientIp};
use utoipa::ToSchema;

use crate::answers::SignedInBody;
use crate::failed_passwords::limited_by_failures;
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
    ClientIp(ip): ClientIp,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<Json<SignedInBody>, Problem> {
    let email = fields::email(&request.email).map_err(|error| Problem::validation(vec![error]))?;
    let now = app.clock().now();
    let password = Password::presented(request.password);
    let SignIn {
        user,
        password,
        upgrade,
    } = limited_by_failures(
        &app,
        &email.key(),
        ip,
        SignIn::check(&app, &email, password, now),
    )
    .await?;
    let signed_in = app
        .accounts()
        .sign_in(user, &password, upgrade.as_ref(), &origin, now);
    match app.admission().changing(user, signed_in).await? {
        SignedIn::Superseded => Err(invalid_credentials()),
        SignedIn::Yes(signed_in) => {
            let (user, session) = *signed_in;
            let tokens = app.tokens(&user, &session, now).await?;
            Ok(Json(SignedInBody {
                user: (&user).into(),
                tokens,
            }))
        }
    }
}

/// A sign-in whose password was right.
struct SignIn {
    user: UserId,
    /// What was checked.
    password: StoredPassword,
    /// What replaces it, if it was of an old kind.
    upgrade: Option<PasswordHash>,
}

impl SignIn {
    /// Checks a password. Whatever the outcome, the same calls and the same hash were made: where
    /// there is no account, one that does not exist is looked up and a dummy hash computed.
    async fn check(
        app: &App,
        email: &EmailAddress,
        password: Password,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let password = Arc::new(password);
        let owner = app.accounts().owner_of(&email.key()).await?;
        let user = owner.unwrap_or_else(|| UserId::new(now));
        let account = app.accounts().account(user).await?;
        let is_active = account
            .as_ref()
            .is_some_and(|account| account.user.is_active);
        let stored = account.and_then(|account| account.password);
        let hash = stored.as_ref().map(|stored| stored.hash.clone());
        let verdict = app.hasher().verify(Arc::clone(&password), hash).await;
        let upgrade = match (verdict.map_err(Problem::internal)?, is_active) {
            (Verdict::Differs, _) | (_, false) => return Err(invalid_credentials()),
            (Verdict::Matches, true) => None,
            (Verdict::MatchesOldKind, true) => {
                let hash = app.hasher().rehash(password).await;
                Some(hash.map_err(Problem::internal)?)
            }
        };
        let password = stored.ok_or_else(invalid_credentials)?;
        Ok(Self {
            user,
            password,
            upgrade,
        })
    }
}

fn invalid_credentials() -> Problem {
    Problem::new(
        ProblemCode::InvalidCredentials,
        "No active account has this e-mail and password.",
    )
}
