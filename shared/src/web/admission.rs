//! Admission in front of the routes: who calls, whether they may, and what the answer says of
//! their limits.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::Extensions;
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;

use super::{Identified, PeerIp, rate_limit_headers};
use crate::admission::{Admission, Caller, Denied, Presented, RequestNotes, notes};
use crate::auth::{ApiKey, Claims, Scope};
use crate::clock::Timestamp;
use crate::errors::{Problem, ProblemCode};
use crate::ids::{SessionId, UserId};
use crate::limits::LimitReport;
use crate::limits::routes::{Access, Route, route_of};
use crate::stores::StoreError;

/// What every API key begins with, wherever it stands.
const KEY_PREFIX: &str = "tp_";

/// The state of a function that lets requests in.
pub trait Admits: Clone + Send + Sync + 'static {
    fn admission(&self) -> &Admission;

    /// The claims of a good access token; `None` for any other.
    fn verify(
        &self,
        token: &SecretString,
    ) -> impl Future<Output = Result<Option<Claims>, StoreError>> + Send;
}

/// Stands in front of the routes: a request that is not let in never reaches its handler.
pub async fn admit<A: Admits>(State(app): State<A>, mut request: Request, next: Next) -> Response {
    let Some(route) = route_taken(&request) else {
        return next.run(request).await;
    };
    let noted = request.extensions().get::<RequestNotes>();
    let noted = noted.cloned().unwrap_or_default();
    let mut response = notes::within(noted.clone(), async {
        match let_in(&app, route, &mut request).await {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    })
    .await;
    let (limits, degraded) = noted.taken();
    // Retry-After and the headers are to agree to the second.
    let now = noted.refused_at();
    let now = now.unwrap_or_else(|| app.admission().now());
    rate_limit_headers::add(response.headers_mut(), &limits, degraded, now);
    response
}

pub(super) fn route_taken(request: &Request) -> Option<&'static Route> {
    let template = request.extensions().get::<MatchedPath>()?;
    route_of(request.method().as_str(), template.as_str())
}

/// The address that a request came from.
pub(super) fn ip_of(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<PeerIp>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |PeerIp(ip)| *ip)
}

async fn let_in<A: Admits>(app: &A, route: &Route, request: &mut Request) -> Result<(), Problem> {
    if let Access::ByHandler(_) = route.access {
        return Ok(());
    }
    let ip = ip_of(request.extensions());
    let admission = app.admission();
    if route.access == Access::Open {
        let admitted = admission.admit_open(ip, route.class).await;
        notes::limits(admitted.map_err(|denied| problem_of(denied, admission.now()))?);
        return Ok(());
    }
    let presented = presented(app, request.headers()).await?;
    let admitted = match route.access {
        Access::Uncounted(_) => admission.admit_uncounted(presented, ip).await,
        _ => admission.admit(presented, ip, route.class).await,
    };
    let (caller, report) = admitted.map_err(|denied| problem_of(denied, admission.now()))?;
    notes::limits(report);
    if let Some(identified) = request.extensions().get::<Identified>() {
        identified.as_user(caller.id());
    }
    permit(&caller, route.access)?;
    request.extensions_mut().insert(caller);
    Ok(())
}

/// What the request is sent with. Exactly one credential counts (RFC 6750, section 2).
pub async fn presented<A: Admits>(app: &A, headers: &HeaderMap) -> Result<Presented, Problem> {
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let mut keys = headers.get_all("x-api-key").iter();
    let first = (authorizations.next(), keys.next());
    if authorizations.next().is_some() || keys.next().is_some() {
        return Err(ambiguous());
    }
    let text = match first {
        (Some(_), Some(_)) => return Err(ambiguous()),
        (None, None) => None,
        (None, Some(key)) => key.to_str().ok(),
        (Some(bearer), None) => {
            let value = bearer.to_str().ok().and_then(|value| value.split_once(' '));
            value
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim_start_matches(' '))
        }
    };
    let Some(text) = text else {
        return Ok(Presented::Bad);
    };
    let secret = SecretString::from(text);
    if first.1.is_some() || text.starts_with(KEY_PREFIX) {
        return Ok(ApiKey::parse(&secret).map_or(Presented::Bad, Presented::Key));
    }
    match app.verify(&secret).await {
        Ok(Some(claims)) => Ok(Presented::Token(Box::new(claims))),
        Ok(None) => Ok(Presented::Bad),
        Err(error) if error.is_transient() => Err(auth_unavailable().caused_by(error)),
        Err(error) => Err(error.into()),
    }
}

/// Whether the caller may use a route at all.
fn permit(caller: &Caller, access: Access) -> Result<(), Problem> {
    match access {
        Access::Open => Ok(()),
        Access::Session if caller.session().is_some() => Ok(()),
        Access::Session => Err(session_required()),
        Access::Scoped(scope) | Access::Uncounted(scope) | Access::ByHandler(scope) => {
            require(caller, scope)
        }
    }
}

/// Refuses a caller whose credential lacks `scope`.
pub fn require(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    if caller.scopes().contains(scope) {
        Ok(())
    } else if caller.is_withheld(scope) {
        Err(Problem::new(
            ProblemCode::EmailNotVerified,
            format!("{scope} needs a verified e-mail address."),
        ))
    } else {
        Err(Problem::new(
            ProblemCode::MissingScope,
            format!("The credential does not have the scope {scope}."),
        ))
    }
}

/// The problem that tells a client why it was not let in.
pub fn problem_of(denied: Denied, now: Timestamp) -> Problem {
    match denied {
        Denied::Limited(report) => limited(report, now),
        Denied::Throttled => {
            let problem = Problem::new(
                ProblemCode::Throttled,
                "Too many requests at once; slow down.",
            );
            Problem {
                retry_after: Some(1),
                ..problem
            }
        }
        Denied::Unauthenticated => Problem::unauthenticated(),
        Denied::IpNotAllowed(report) => {
            notes::limits(report);
            Problem::new(
                ProblemCode::IpNotAllowed,
                "The key is not to be used from this address.",
            )
        }
        Denied::AuthUnavailable => auth_unavailable(),
        Denied::Unavailable => Problem {
            retry_after: Some(1),
            ..Problem::new(
                ProblemCode::ServiceUnavailable,
                "The request could not be completed for now; nothing is known to be wrong with it.",
            )
        },
        Denied::Failed(error) => error.into(),
    }
}

fn limited(report: LimitReport, now: Timestamp) -> Problem {
    let violated = report.violated();
    let detail = match report.retry_at() {
        Some(_) => format!(
            "Used up: {}. Wait as Retry-After says.",
            violated.join(", ")
        ),
        None => format!("Not within: {}.", violated.join(", ")),
    };
    let retry_after = report
        .retry_at()
        .map(|at| rate_limit_headers::seconds_to_wait(at, now));
    notes::refusal(report, now);
    Problem {
        retry_after,
        violated_policies: violated,
        ..Problem::new(ProblemCode::QuotaExceeded, detail)
    }
}

fn ambiguous() -> Problem {
    Problem::new(
        ProblemCode::AmbiguousCredentials,
        "The request carries more than one credential.",
    )
}

fn session_required() -> Problem {
    Problem::new(
        ProblemCode::SessionRequired,
        "This needs a signed-in session; an API key will not do.",
    )
}

fn auth_unavailable() -> Problem {
    Problem {
        retry_after: Some(1),
        ..Problem::new(
            ProblemCode::AuthUnavailable,
            "Credentials cannot be checked right now.",
        )
    }
}

/// A route that the table does not know reached a handler that wants a caller.
#[derive(Debug, thiserror::Error)]
#[error("the route is not in the table of routes, so nobody was let in to it")]
struct NotInTable;

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal(NotInTable))
    }
}

/// A caller who is signed in, and from which session.
#[derive(Clone, Copy, Debug)]
pub struct SignedInCaller {
    pub user: UserId,
    pub session: SessionId,
}

impl<S: Sync> FromRequestParts<S> for SignedInCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let session = caller.session().ok_or_else(session_required)?;
        Ok(Self {
            user: caller.id(),
            session,
        })
    }
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(ip_of(&parts.extensions)))
    }
}
