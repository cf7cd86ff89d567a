//! Who is calling: a handler that takes a [`Caller`] cannot be reached without a good access token
//! of a session and a user that both still stand.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;
use secrecy::SecretString;
use turnpike_shared::auth::{Session, User};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::stores::Standing;
use turnpike_shared::web::Identified;

use crate::App;

/// The signed-in user and the session that they call from.
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) session: Session,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer_token(&parts.headers)?;
        let now = app.clock().now();
        let keys = app.keys().current().await;
        let claims = app
            .profile()
            .verify(&keys, &token, now)
            .map_err(|rejected| Problem::unauthenticated().caused_by(rejected))?;
        let standing = app.accounts().standing(claims.sub, claims.sid, now).await?;
        let Standing { user, session } = standing.ok_or_else(Problem::unauthenticated)?;
        if let Some(identified) = parts.extensions.get::<Identified>() {
            identified.as_user(user.id);
        }
        Ok(Self { user, session })
    }
}

/// The bearer token of a request that carries exactly one credential (RFC 6750, section 2.1).
fn bearer_token(headers: &HeaderMap) -> Result<SecretString, Problem> {
    let authorizations = headers.get_all(AUTHORIZATION).iter().count();
    let keys = headers.get_all("x-api-key").iter().count();
    match (authorizations, keys) {
        (1, 0) => {}
        (0, 0 | 1) => return Err(Problem::unauthenticated()),
        _ => {
            return Err(Problem::new(
                ProblemCode::AmbiguousCredentials,
                "The request carries more than one credential.",
            ));
        }
    }
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let (scheme, token) = value
        .and_then(|v| v.split_once(' '))
        .ok_or_else(Problem::unauthenticated)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start_matches(' ').into())
    } else {
        Err(Problem::unauthenticated())
    }
}
