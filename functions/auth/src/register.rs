//! `POST /api/v1/auth/register`: a new account and its first session.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::{EmailAddress, NewPassword, Role, Session, Tier, User};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::idempotency::Secret;
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{NewAccount, Registration, Verification};
use turnpike_shared::web::{Answer, AnswerKeeper, ApiJson};
use utoipa::ToSchema;

use crate::answers::SignedInBody;
use crate::origin::Origin;
use crate::{App, fields};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterRequest {
    /// Compared without case: of one address there is one account.
    #[schema(format = Email, max_length = 254, example = "ada@example.com")]
    pub(crate) email: String,
    /// 8 to 128 characters, and not too easy to guess.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "plum-violin-harbour-7")]
    pub(crate) password: SecretString,
    #[schema(min_length = 1, max_length = 200, example = "Ada King")]
    full_name: Option<String>,
}

struct Registrant {
    email: EmailAddress,
    full_name: Option<String>,
    password: NewPassword,
}

impl RegisterRequest {
    fn parse(self) -> Result<Registrant, Problem> {
        let name_as_sent = self.full_name.clone().unwrap_or_default();
        let owner = [self.email.as_str(), name_as_sent.as_str()];
        let password = fields::new_password("password", self.password, &owner);
        match (
            fields::email(&self.email),
            fields::full_name(self.full_name),
            password,
        ) {
            (Ok(email), Ok(full_name), Ok(password)) => Ok(Registrant {
                email,
                full_name,
                password,
            }),
            (email, full_name, password) => {
                let errors = [email.err(), full_name.err(), password.err()];
                Err(fields::problem_of(errors.into_iter().flatten().collect()))
            }
        }
    }
}

/// Make an account
///
/// Makes an account in tier `free` and signs it in. A mail with a verification token goes out.
#[utoipa::path(
    post, path = "/api/v1/auth/register", operation_id = "register", tag = "Accounts",
    request_body = RegisterRequest,
    responses((status = 201, description = "The account and its first session", body = SignedInBody)),
    extensions(("x-problems" = json!(["email-taken", "weak-password", "idempotency-answer-gone"]))),
    security(()),
)]
pub(crate) async fn register(
    State(app): State<App>,
    Origin(origin): Origin,
    keeper: AnswerKeeper,
    ApiJson(request): ApiJson<RegisterRequest>,
) -> Result<Answer, Problem> {
    let registrant = request.parse()?;
    let password = app
        .hasher()
        .hash(registrant.password)
        .await
        .map_err(Problem::internal)?;
    let now = app.clock().now();
    let user = new_user(registrant.email, registrant.full_name, now);
    let session = Session::begin(user.id, &origin, now);
    let tokens = app.tokens(&user, &session, now).await?;
    let body = SignedInBody {
        user: (&user).into(),
        tokens,
    };
    let answer = Answer::json(StatusCode::CREATED, &body);
    let shown = Secret::Tokens {
        user: user.id,
        session: session.id,
    };
    let kept = keeper.keep(&answer, Some(shown));
    let account = NewAccount {
        user,
        password,
        session: Some(session),
        verification: Verification::ByMail,
    };
    let accounts = app.accounts();
    let registered = accounts.register_and_keep(&account, kept.as_ref(), now);
    match registered.await? {
        Registration::EmailTaken => Err(email_taken()),
        Registration::Done => Ok(answer),
    }
}

pub(crate) fn email_taken() -> Problem {
    Problem::new(
        ProblemCode::EmailTaken,
        "An account with this address exists.",
    )
}

fn new_user(email: EmailAddress, full_name: Option<String>, now: Timestamp) -> User {
    User {
        id: UserId::new(now),
        email,
        full_name,
        tier: Tier::free(),
        roles: vec![Role::User],
        is_active: true,
        is_verified: false,
        created_at: now,
        updated_at: now,
        epoch: 1,
        quota_override: None,
        keys_revoked: None,
    }
}
