//! `GET /api/v1/admin/audit-log`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use turnpike_shared::admission::Caller;
use turnpike_shared::audit::Action;
use turnpike_shared::errors::Problem;
use turnpike_shared::stores::LoggedEntry;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::ToSchema;

use crate::App;

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntryObject {
    #[schema(example = "aud_019a9f3c1c2a7d3e8f00112233445566")]
    id: String,
    /// When it happened. The order of the log is that of the entries' arrival in it.
    #[schema(format = DateTime, example = "2026-11-20T20:43:16.042Z")]
    at: String,
    /// The id of the user who did it; `anonymous` for somebody who was not signed in, `system` for
    /// Turnpike itself.
    #[schema(example = "usr_019a9f3c1c2a7d3e8f00112233445566")]
    actor: String,
    action: Action,
    /// The id of what it was done to.
    #[schema(example = "ses_019a9f3c1c2a7d3e8f00112233445566")]
    target: String,
    /// Ids and facts, which depend on the action; never an address, a name or a secret.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// What binds the entry to its place and to all entries before it.
    #[schema(example = "6l4gYkY0bXGv2kQx0a9oQ1yF3cZq8r7tUe5wNn2mJ1E")]
    hash: String,
    /// The hash of the entry before it; the first has 43 times `A`.
    #[schema(example = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    previous_hash: String,
}

impl From<LoggedEntry> for AuditEntryObject {
    fn from(logged: LoggedEntry) -> Self {
        let entry = logged.entry;
        Self {
            id: entry.id.to_string(),
            at: entry.at.to_string(),
            actor: entry.actor.to_string(),
            action: entry.action,
            target: entry.target,
            details: entry.details,
            hash: logged.hash.to_string(),
            previous_hash: logged.previous_hash.to_string(),
        }
    }
}

/// List the audit log
///
/// What was done to accounts, sessions, passwords and keys, newest first. An entry is there some
/// seconds after what it tells of; one that cannot be read is left out, and verifying names it. A
/// page may be shorter than `limit` although another follows; the last one has no cursor.
#[utoipa::path(
    get, path = "/api/v1/admin/audit-log", operation_id = "listAuditLog", tag = "Administration",
    params(ListQuery),
    responses((status = 200, description = "A page of entries", body = Page<AuditEntryObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<AuditEntryObject>>, Problem> {
    let caller = caller.id().to_string();
    let listed = ListOf {
        name: "audit log",
        caller: &caller,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|number| number.parse().ok());
    let page = app.audit_log().page(behind, limit).await?;
    let next = page.next.map(|number| number.to_string());
    Ok(Json(Page {
        items: page.entries.into_iter().map(Into::into).collect(),
        next_cursor: next.map(|number| app.cursor_key().seal(&number, &listed)),
    }))
}
