//! `/api/v1/admin/users/{id}/quota`: what a user has, what an admin gives them instead, and what
//! is counted of them.

pub(crate) mod end;
pub(crate) mod replace;
pub(crate) mod reset;
pub(crate) mod show;

use turnpike_shared::auth::{Principal, User};
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{QuotaBody, problem_of};

use crate::App;

/// A user's quota, as they see it themselves with a session.
async fn quota_of(app: &App, user: &User) -> Result<QuotaBody, Problem> {
    let admission = app.admission();
    let quota = admission.quota(&Principal::from(user), None).await;
    let quota = quota.map_err(|error| problem_of(error.into(), admission.now()))?;
    Ok(QuotaBody::from(&quota))
}
