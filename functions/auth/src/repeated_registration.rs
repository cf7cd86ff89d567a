//! A registration that is repeated with its `Idempotency-Key`: who may be shown its tokens again.

use std::sync::Arc;

use turnpike_shared::auth::{Password, Verdict};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::{SessionId, UserId};
use turnpike_shared::web::Repetition;

use crate::failed_passwords::limited_by_failures;
use crate::register::{RegisterRequest, email_taken};
use crate::{App, fields};

/// Whether the tokens of a registration are still its session's newest. Who does not know the
/// account's password is told that the address is taken, as without a key; and is limited as at
/// sign-in, so that nothing is learnt here that could not be learnt there.
pub(crate) async fn still_stands(
    app: &App,
    user: UserId,
    session: SessionId,
    repetition: &Repetition<'_>,
) -> Result<bool, Problem> {
    let request: RegisterRequest = repetition.body()?;
    let email = fields::email(&request.email).map_err(|error| Problem::validation(vec![error]))?;
    let password = Password::presented(request.password);
    let check = check(app, user, password);
    let checked = limited_by_failures(app, &email.key(), repetition.ip, check).await;
    checked.map_err(|problem| match problem.code {
        ProblemCode::WrongPassword => email_taken(),
        _ => problem,
    })?;
    let (found, standing) = tokio::try_join!(
        app.accounts().session(user, session),
        app.accounts().users().standing(user),
    )?;
    let now = app.clock().now();
    let is_as_begun = found.is_some_and(|found| found.is_unrotated() && found.is_live(now));
    Ok(is_as_begun && standing.is_some_and(|standing| standing.admits(session)))
}

async fn check(app: &App, user: UserId, password: Password) -> Result<(), Problem> {
    let account = app.accounts().account(user).await?;
    let stored = account.and_then(|account| account.password);
    let hash = stored.map(|stored| stored.hash);
    let verdict = app.hasher().verify(Arc::new(password), hash).await;
    match verdict.map_err(Problem::internal)? {
        Verdict::Matches | Verdict::MatchesOldKind => Ok(()),
        Verdict::Differs => Err(Problem::new(
            ProblemCode::WrongPassword,
            "This is not the account's password.",
        )),
    }
}
