//! `GET /api/v1/admin/audit-log`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::audit::{Action, Actor, ChainHash};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::AuditId;
use turnpike_shared::stores::LoggedEntry;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::ToSchema;

use crate::App;

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditEntryObject {
    #[schema(value_type = String, example = "aud_019a9f3c1c2a7d3e8f00112233445566")]
    id: AuditId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who did it: a user's id, `anonymous`, or `system` for what happens by itself.
    #[schema(value_type = String, example = "usr_019a9f3c1c2a7d3e8f00112233445566")]
    actor: Actor,
    action: Action,
    /// The id of what it was done to.
    #[schema(example = "usr_019a9f3c1c2a7d3e8f00112233445566")]
    target: String,
    /// What else there is to say; its members depend on the action.
    #[schema(value_type = Object)]
    details: Details,
    /// What binds the entry to its place in the log.
    #[schema(value_type = String)]
    hash: ChainHash,
    /// The hash of the entry before it.
    #[schema(value_type = String)]
    previous_hash: ChainHash,
}

type Details = serde_json::Map<String, serde_json::Value>;

impl From<LoggedEntry> for AuditEntryObject {
    fn from(logged: LoggedEntry) -> Self {
        let LoggedEntry {
            entry,
            hash,
            previous_hash,
        } = logged;
        Self {
            id: entry.id,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            details: entry.details,
            hash,
            previous_hash,
        }
    }
}

/// List the audit log
///
/// What was done, newest first. An entry joins the log within seconds of what it tells of. A page
/// may be shorter than `limit` although another follows; the last one has no cursor.
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
        name: "audit-log",
        caller: &caller,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|number| number.parse().ok());
    let page = app.audit_log().page(behind, limit).await?;
    let next = page.next.map(|number| number.to_string());
    Ok(Json(Page {
        items: page
            .entries
            .into_iter()
            .map(AuditEntryObject::from)
            .collect(),
        next_cursor: next.map(|number| app.cursor_key().seal(&number, &listed)),
    }))
}
