//! `GET /api/v1/auth/sessions`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page, SignedInCaller};

use crate::App;
use crate::answers::SessionObject;

/// List sessions
///
/// The caller's live sessions, newest first.
#[utoipa::path(
    get, path = "/api/v1/auth/sessions", operation_id = "listSessions", tag = "Accounts",
    params(ListQuery),
    responses((status = 200, description = "A page of sessions", body = Page<SessionObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = [])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: SignedInCaller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<SessionObject>>, Problem> {
    let owner = caller.user.to_string();
    let listed = ListOf {
        name: "sessions",
        caller: &owner,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let sessions = app
        .accounts()
        .live_sessions(caller.user, app.clock().now())
        .await?;
    // Ids of one user sort by time, so the page goes on behind its cursor even if that session
    // has ended meanwhile.
    let mut remaining = sessions.into_iter().filter(|session| {
        behind
            .as_ref()
            .is_none_or(|behind| session.id.to_string() < *behind)
    });
    let page: Vec<_> = remaining.by_ref().take(limit).collect();
    let next_cursor = match (page.last(), remaining.next()) {
        (Some(last), Some(_)) => Some(app.cursor_key().seal(&last.id.to_string(), &listed)),
        _ => None,
    };
    let current = caller.session;
    let items = page
        .into_iter()
        .map(|session| SessionObject::new(session, current))
        .collect();
    Ok(Json(Page { items, next_cursor }))
}
