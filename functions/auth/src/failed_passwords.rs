//! The limits of failed passwords, per address and e-mail.

use std::net::IpAddr;

use turnpike_shared::admission::notes;
use turnpike_shared::auth::EmailKey;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::web::problem_of;

use crate::App;

/// Checks a password within the limits of failed ones. The try is counted before the password is
/// looked at, so that simultaneous tries cannot slip past, and taken back unless the password was
/// wrong.
pub(crate) async fn limited_by_failures<T>(
    app: &App,
    email: &EmailKey,
    ip: IpAddr,
    check: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let admission = app.admission();
    let held = admission.hold_password(email, ip).await;
    let (held, report) = held.map_err(|denied| problem_of(denied, admission.now()))?;
    let checked = Box::pin(check).await;
    let was_wrong = checked.as_ref().is_err_and(|problem| {
        matches!(
            problem.code,
            ProblemCode::InvalidCredentials | ProblemCode::WrongPassword
        )
    });
    if was_wrong {
        notes::limits(report);
    } else {
        admission.give_back(held).await;
    }
    checked
}
