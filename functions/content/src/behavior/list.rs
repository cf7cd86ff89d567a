//! `GET /api/v1/behavior`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use turnpike_shared::admission::Caller;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::EventId;
use turnpike_shared::stores::ListedEvent;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::ToSchema;

use crate::App;

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = BehaviorEvent)]
pub(crate) struct EventObject {
    #[schema(value_type = String, example = "evt_019a9f3c1c2a7d3e8f00112233445566")]
    id: EventId,
    session_id: String,
    content_id: String,
    #[schema(value_type = Object)]
    behavior_data: Map<String, Value>,
    #[schema(required)]
    device_type: Option<String>,
    /// A text, an object or null.
    #[schema(required, value_type = Option<Object>)]
    location_context: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// When it was reported.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<ListedEvent> for EventObject {
    fn from(listed: ListedEvent) -> Self {
        let event = listed.event;
        Self {
            id: listed.id,
            session_id: event.session_id,
            content_id: event.content_id,
            behavior_data: event.behavior_data,
            device_type: event.device_type,
            location_context: event.location_context,
            timestamp: event.timestamp,
            created_at: listed.came_at,
        }
    }
}

/// List the own behaviour
///
/// The events of the last 90 days: what was reported last comes first, and of what was reported
/// together, what happened last.
#[utoipa::path(
    get, path = "/api/v1/behavior", operation_id = "listBehavior", tag = "Content",
    params(ListQuery),
    responses((status = 200, description = "A page of events", body = Page<EventObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["behavior:read"]), ("api_key" = ["behavior:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<EventObject>>, Problem> {
    let owner = caller.id().to_string();
    let listed = ListOf {
        name: "behavior",
        caller: &owner,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|position| position.parse().ok());
    let found = app.behavior().list(caller.id(), behind, limit, app.now());
    let found = found.await?;
    let last = found.items.last().filter(|_| found.has_more);
    let next_cursor = last.map(|event| app.cursor_key().seal(&event.position.to_string(), &listed));
    Ok(Json(Page {
        items: found.items.into_iter().map(EventObject::from).collect(),
        next_cursor,
    }))
}
