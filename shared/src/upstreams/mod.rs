//! Calls of upstreams: what the policy names, within its bounds, whatever a caller asks for.
//!
//! A call is tried again where that is safe, never takes longer than it may, and is not made while
//! the upstream is being left alone. What is asked of an upstream and what its answers mean is the
//! business of whoever calls; so is keeping them.

mod breaker;
mod breakers;
mod client;
mod error;
mod headers;
mod retry;
mod secrets;
mod target;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::time::{Instant, sleep, timeout};

pub use breaker::{Breaker, BreakerState, Phase, TrialId};
pub use breakers::{BreakerMemory, Breakers};
pub use error::{Cause, Failure, UpstreamError};
pub use target::{InvalidTarget, Target};

use crate::admission::AdmissionParts;
use crate::clock::Clock;
use crate::config::{ConfigError, Environment, UpstreamSecretSource};
use crate::limits::policy::UpstreamPolicy;
use breaker::Health;
use breakers::Permit;
use client::HttpClient;
use retry::{SHORTEST_TRY, Tried, pause_before_next};
use secrets::Secrets;

/// What is read of an answer's body.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// How many redirects one try follows.
const MAX_REDIRECTS: u32 = 3;

/// Calls upstreams; cheap to clone.
#[derive(Clone)]
pub struct Upstreams(Arc<Inner>);

struct Inner {
    /// Made with the first call, because who calls no upstream should not wait for it.
    client: OnceLock<HttpClient>,
    secrets: Secrets,
    breakers: Breakers,
    clock: Clock,
}

/// What is asked of an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    pub method: Method,
    pub target: Target,
    /// The caller's; those that the policy lists are passed on.
    pub headers: HeaderMap,
    /// What is sent whatever the policy lists: the type of a body that is not the caller's, the
    /// conditions of whoever keeps answers. None of them may belong to a connection.
    pub own_headers: HeaderMap,
    pub body: Bytes,
}

impl UpstreamRequest {
    /// A request without headers and body.
    pub fn new(method: Method, target: Target) -> Self {
        Self {
            method,
            target,
            headers: HeaderMap::new(),
            own_headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

/// What an upstream answered, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamAnswer {
    pub status: StatusCode,
    /// What passes of its headers.
    pub headers: HeaderMap,
    /// Whether nobody else may have it: it had a cookie for its reader, which does not pass, or it was
    /// reached by a redirect, whose own terms are not those of where it led.
    pub is_for_its_reader: bool,
    /// At most [`MAX_BODY_BYTES`]; it need not be text.
    pub body: Bytes,
}

impl From<Response<Bytes>> for UpstreamAnswer {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: headers::from_upstream(&head.headers),
            is_for_its_reader: headers::sets_cookies(&head.headers),
            body,
        }
    }
}

impl Upstreams {
    pub fn from_environment(
        env: &Environment,
        parts: &AdmissionParts,
    ) -> Result<Self, ConfigError> {
        let secrets = UpstreamSecretSource::read(env)?;
        Ok(Self(Arc::new(Inner {
            client: OnceLock::new(),
            secrets: Secrets::new(env, secrets, parts.clock.clone()),
            breakers: Breakers::from_environment(env, parts)?,
            clock: parts.clock.clone(),
        })))
    }

    /// Calls the upstream `name`, as `policy` says of it, and is done by `deadline`. Any status is an
    /// answer, also one that is left after all tries; from 500 on it counts against the upstream.
    pub async fn call(
        &self,
        name: &str,
        policy: &UpstreamPolicy,
        request: UpstreamRequest,
        deadline: Instant,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let call = Call {
            upstreams: &self.0,
            policy,
            request: &request,
            deadline,
        };
        let breakers = &self.0.breakers;
        let permit = breakers.permit(name, policy).await;
        let permit = permit.map_err(|retry_after| UpstreamError::CircuitOpen { retry_after })?;
        let retries = match permit {
            Permit::Call => policy.retries,
            // One call, of which others wait for the end.
            Permit::Trial(_) => 0,
        };
        let time = call.remaining();
        let called = call.with_secret(retries).await;
        let health = health(&called, policy, time);
        breakers.report(name, policy, permit, health).await;
        called
    }
}

/// What a call that had this time says of the upstream's health. An answer that is of no use, being
/// too large or a redirect, is one nevertheless.
fn health(
    called: &Result<UpstreamAnswer, UpstreamError>,
    policy: &UpstreamPolicy,
    time: Duration,
) -> Health {
    match called {
        Ok(answer) if answer.status.is_server_error() => Health::Bad,
        Ok(_) | Err(UpstreamError::TooLarge | UpstreamError::Failed(Failure::Redirected)) => {
            Health::Good
        }
        Err(UpstreamError::Failed(_)) => Health::Bad,
        // Who has little time left must not speak for the upstream.
        Err(UpstreamError::Timeout) if time >= policy.timeout / 2 => Health::Bad,
        Err(
            UpstreamError::Timeout | UpstreamError::CircuitOpen { .. } | UpstreamError::Secret(_),
        ) => Health::Unknown,
    }
}

/// One call under way.
struct Call<'a> {
    upstreams: &'a Inner,
    policy: &'a UpstreamPolicy,
    request: &'a UpstreamRequest,
    deadline: Instant,
}

impl Call<'_> {
    /// Makes the call with the secret at hand and, if the upstream does not take that, once more
    /// with the one that has taken its place.
    async fn with_secret(&self, retries: u32) -> Result<UpstreamAnswer, UpstreamError> {
        let Some(header) = &self.policy.secret_header else {
            return self.tried(retries, None).await;
        };
        let secrets = &self.upstreams.secrets;
        let secret = self.in_time(secrets.get(&header.secret)).await??;
        let answer = self.tried(retries, secret.header().as_ref()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let newer = self.in_time(secrets.newer(&header.secret, &secret)).await?;
        match newer {
            Some(newer) => self.tried(0, newer.header().as_ref()).await,
            None => Ok(answer),
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, UpstreamError> {
        timeout(self.remaining(), work)
            .await
            .map_err(|_| UpstreamError::Timeout)
    }

    async fn tried(
        &self,
        retries: u32,
        secret: Option<&HeaderValue>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let mut tries_made = 0;
        loop {
            if self.remaining() < SHORTEST_TRY {
                return Err(UpstreamError::Timeout);
            }
            let outcome = self.one_try(secret).await;
            tries_made += 1;
            let tried = Tried {
                outcome: outcome.as_ref(),
                tries: tries_made,
                now: self.upstreams.clock.now(),
                remaining: self.remaining(),
            };
            let random = fastrand::f64();
            match pause_before_next(&self.request.method, retries, &tried, random) {
                Some(pause) => sleep(pause).await,
                None => return Ok(outcome?),
            }
        }
    }

    async fn one_try(&self, secret: Option<&HeaderValue>) -> Result<UpstreamAnswer, Failure> {
        let bound = self.policy.timeout.min(self.remaining());
        timeout(bound, self.followed(secret))
            .await
            .unwrap_or(Err(Failure::TimedOut))
    }

    /// Sends the request, and sends it to wherever the answer says it is to be sent.
    async fn followed(&self, secret: Option<&HeaderValue>) -> Result<UpstreamAnswer, Failure> {
        let client = self.upstreams.client.get_or_init(HttpClient::new);
        let mut target = self.request.target.clone();
        for redirects in 0..=MAX_REDIRECTS {
            let response = client.send(self.sent_to(&target, secret)).await?;
            let Some(location) = location_of_redirect(&response) else {
                let mut answer = UpstreamAnswer::from(response);
                answer.is_for_its_reader |= redirects > 0;
                return Ok(answer);
            };
            if !self.request.method.is_safe() {
                break;
            }
            let location = location.to_str().map_err(|_| Failure::Redirected)?;
            let next = target.redirected(self.policy, location);
            target = next.map_err(|_| Failure::Redirected)?;
        }
        Err(Failure::Redirected)
    }

    fn sent_to(&self, target: &Target, secret: Option<&HeaderValue>) -> Request<Full<Bytes>> {
        let Self {
            policy, request, ..
        } = self;
        let secret = policy.secret_header.as_ref().zip(secret.cloned());
        let mut sent = Request::new(Full::new(request.body.clone()));
        *sent.method_mut() = request.method.clone();
        *sent.uri_mut() = target.uri().clone();
        *sent.headers_mut() =
            headers::to_upstream(policy, &request.headers, &request.own_headers, secret);
        sent
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Where an answer sends its reader instead (RFC 9110, section 15.4).
fn location_of_redirect(response: &Response<Bytes>) -> Option<&HeaderValue> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION);
    location.filter(|_| is_redirect)
}
