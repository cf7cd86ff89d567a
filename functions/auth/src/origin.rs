//! Where a sign-in comes from.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use turnpike_shared::auth::session::SessionOrigin;
use turnpike_shared::web::{PeerIp, single_header};

const MAX_USER_AGENT_CHARS: usize = 256;

/// The client's program and address, for the list of sessions.
pub(crate) struct Origin(pub(crate) SessionOrigin);

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let user_agent = single_header(&parts.headers, &USER_AGENT)
            .map(|agent| agent.chars().take(MAX_USER_AGENT_CHARS).collect());
        let ip = parts
            .extensions
            .get::<PeerIp>()
            .map(|PeerIp(ip)| ip.to_canonical().to_string());
        Ok(Self(SessionOrigin { user_agent, ip }))
    }
}
