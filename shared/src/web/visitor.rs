//! Whoever calls a route whose class and cost stand in the request itself: let in by its handler,
//! once it has read what is asked for, and in one round trip all the same.
//!
//! The order of refusals is everybody's: a bad credential before anything else. So what is wrong
//! with a request is told only after its credential was found good.

use std::net::IpAddr;

use axum::extract::{FromRef, FromRequestParts, MatchedPath};
use axum::http::request::Parts;

use super::admission::ip_of;
use super::{Admits, Foundation, Identified, presented, problem_of, require};
use crate::admission::{Admitted, Caller, Charge, Denied, Presented, notes};
use crate::auth::Scope;
use crate::errors::Problem;
use crate::limits::routes::{Access, route_of};

/// A caller who is not let in yet, with a credential that can be good.
pub struct Visitor {
    presented: Presented,
    door: Door,
}

/// Where somebody stands who is not let in yet, and what they need to be.
struct Door {
    foundation: Foundation,
    ip: IpAddr,
    scope: Scope,
    identified: Option<Identified>,
}

impl Visitor {
    /// Lets a request in that counts `cost` in `class`, by the order of refusals of requests whose
    /// class stands ahead of the body: 401, 429, 403.
    pub async fn admit(self, class: &str, cost: u64) -> Result<(Caller, Charge), Problem> {
        let Self { presented, door } = self;
        let admission = door.foundation.admission();
        let admitted = admission.admit_costing(presented, door.ip, class, cost);
        door.pass(admitted.await)
    }

    /// As [`Self::admit`], where the class stands in the body: 401, 403, 429. Who is refused for
    /// permission has used up nothing.
    pub async fn admit_after_body(
        self,
        class: &str,
        cost: u64,
    ) -> Result<(Caller, Charge), Problem> {
        let Self { presented, door } = self;
        let admission = door.foundation.admission();
        let admitted = admission.admit_permitted(presented, door.ip, class, cost, door.scope);
        door.pass(admitted.await)
    }

    /// What was sent, if it can be used. If not, whether the credential is good is asked first, and
    /// nothing is counted.
    pub async fn sending<T>(self, sent: Result<T, Problem>) -> Result<(Self, T), Problem> {
        match sent {
            Ok(sent) => Ok((self, sent)),
            Err(problem) => Err(self.refused(problem).await),
        }
    }

    async fn refused(self, problem: Problem) -> Problem {
        let Self { presented, door } = self;
        let admission = door.foundation.admission();
        match admission.admit_uncounted(presented, door.ip).await {
            Err(denied) => problem_of(denied, admission.now()),
            Ok((caller, _)) => door.permit(&caller).err().unwrap_or(problem),
        }
    }
}

impl Door {
    fn pass(&self, admitted: Result<Admitted, Denied>) -> Result<(Caller, Charge), Problem> {
        let now = self.foundation.now();
        let admitted = admitted.map_err(|denied| problem_of(denied, now))?;
        notes::limits(admitted.limits);
        self.permit(&admitted.caller)?;
        Ok((admitted.caller, admitted.charge))
    }

    fn permit(&self, caller: &Caller) -> Result<(), Problem> {
        if let Some(identified) = &self.identified {
            identified.as_user(caller.id());
        }
        require(caller, self.scope)
    }
}

/// A route whose handler lets its callers in is not in the table as one.
#[derive(Debug, thiserror::Error)]
#[error("the route is not one whose handler lets its callers in")]
struct NotByHandler;

impl<S: Sync> FromRequestParts<S> for Visitor
where
    Foundation: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let foundation = Foundation::from_ref(state);
        let template = parts.extensions.get::<MatchedPath>();
        let route = template.and_then(|path| route_of(parts.method.as_str(), path.as_str()));
        let Some(Access::ByHandler(scope)) = route.map(|route| route.access) else {
            return Err(Problem::internal(NotByHandler));
        };
        let ip = ip_of(&parts.extensions);
        let presented = presented(&foundation, &parts.headers).await?;
        if let Presented::Bad = presented {
            // Nothing that follows can make it good, so its body need not be read.
            let admission = foundation.admission();
            let denied = admission.admit_uncounted(presented, ip).await.err();
            let denied = denied.unwrap_or(Denied::Unauthenticated);
            return Err(problem_of(denied, admission.now()));
        }
        let identified = parts.extensions.get().cloned();
        Ok(Self {
            presented,
            door: Door {
                foundation,
                ip,
                scope,
                identified,
            },
        })
    }
}
