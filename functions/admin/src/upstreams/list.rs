//! `GET /api/v1/admin/upstreams`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::limits::policy::UpstreamPolicy;
use turnpike_shared::upstreams::{Breaker, Phase};
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::ToSchema;

use crate::App;

/// An upstream and its circuit breaker.
#[derive(Serialize, ToSchema)]
#[schema(as = Upstream)]
pub(crate) struct UpstreamObject {
    /// Its name in the policy.
    #[schema(example = "library")]
    name: String,
    state: CircuitState,
    /// How many calls have failed within the policy's time or, while the state is not `closed`, how
    /// many opened the breaker.
    #[schema(example = 5)]
    failures: usize,
    /// Since when the state has not been `closed`.
    #[schema(required, format = DateTime, example = "2026-11-20T20:43:16.042Z")]
    opened_at: Option<String>,
    /// From when on one call may try whether the upstream is back; while one does, when it is given
    /// up and another may.
    #[schema(required, format = DateTime, example = "2026-11-20T20:44:16.042Z")]
    next_trial_at: Option<String>,
}

/// Whether an upstream is called.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CircuitState {
    /// It is called.
    Closed,
    /// It is left alone.
    Open,
    /// One call tries whether it is back.
    HalfOpen,
}

impl UpstreamObject {
    fn new(name: &str, policy: &UpstreamPolicy, breaker: &Breaker, now: Timestamp) -> Self {
        let text = |at: Timestamp| at.to_string();
        Self {
            name: name.to_owned(),
            state: match breaker.phase() {
                Phase::Closed => CircuitState::Closed,
                Phase::Open => CircuitState::Open,
                Phase::HalfOpen => CircuitState::HalfOpen,
            },
            failures: breaker.failures(&policy.breaker, now),
            opened_at: breaker.opened_at().map(text),
            next_trial_at: breaker.next_trial_at().map(text),
        }
    }
}

/// List upstreams
///
/// Every upstream of the policy in force by name, also those that were never called, with the state
/// of its circuit breaker.
#[utoipa::path(
    get, path = "/api/v1/admin/upstreams", operation_id = "listUpstreams", tag = "Administration",
    params(ListQuery),
    responses((status = 200, description = "A page of upstreams", body = Page<UpstreamObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<UpstreamObject>>, Problem> {
    let caller = caller.id().to_string();
    let listed = ListOf {
        name: "upstreams",
        caller: &caller,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let policy = app.admission().policy().await;
    let is_behind = |name: &str| behind.as_deref().is_none_or(|behind| name > behind);
    let mut upstreams = policy.upstreams().filter(|(name, _)| is_behind(name));
    let page: Vec<(&str, &UpstreamPolicy)> = upstreams.by_ref().take(limit).collect();
    let names: Vec<&str> = page.iter().map(|(name, _)| *name).collect();
    let breakers = app.breakers().all_of(&names).await?;
    let next = upstreams.next().and(names.last());
    let now = app.now();
    let items = page.iter().zip(&breakers);
    Ok(Json(Page {
        items: items
            .map(|((name, policy), breaker)| UpstreamObject::new(name, policy, breaker, now))
            .collect(),
        next_cursor: next.map(|name| app.cursor_key().seal(name, &listed)),
    }))
}
