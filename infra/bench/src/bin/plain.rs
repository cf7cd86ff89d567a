//! A server with one route and no admission: `GET /api/v1/auth/me` as Turnpike answers it, behind
//! the same conventions. What it costs is what HTTP, log line and answer cost by themselves.
//!
//! `plain ADDRESS` serves until it is ended.

use std::net::SocketAddr;

use axum::routing::get;
use axum::{Json, Router};
use turnpike_shared::auth::{Role, Tier, User};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, Cors, Environment};
use turnpike_shared::ids::UserId;
use turnpike_shared::telemetry;
use turnpike_shared::web::{FunctionContext, UserBody, with_conventions};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let addr = std::env::args().nth(1).unwrap_or_default();
    let addr: SocketAddr = addr.parse().map_err(|_| "usage: plain ADDRESS")?;
    telemetry::init(&config::log_filter(&Environment::of_process())?);
    let clock = Clock::system();
    let user = somebody(&clock)?;
    let answer = move || async move { Json(UserBody::from(&user)) };
    let routes = Router::new().route("/api/v1/auth/me", get(answer));
    let context = FunctionContext::new("plain", &format!("http://{addr}"), clock);
    let server = with_conventions(routes, context, &Cors::default());
    let listener = tokio::net::TcpListener::bind(addr).await?;
    Ok(axum::serve(listener, server).await?)
}

/// As the accounts are that the load generator registers.
fn somebody(clock: &Clock) -> Result<User, Failure> {
    let now = clock.now();
    Ok(User {
        id: UserId::new(now),
        email: "bench-0@example.com".parse()?,
        full_name: None,
        tier: Tier::free(),
        roles: vec![Role::User],
        is_active: true,
        is_verified: false,
        created_at: now,
        updated_at: now,
        quota_override: None,
        keys_revoked: None,
        epoch: 1,
    })
}
