//! `POST /api/v1/behavior`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnpike_shared::admission::Caller;
use turnpike_shared::behavior::{Event, MAX_AHEAD, MAX_EVENTS, Report};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::web::{Answer, AnswerKeeper, ApiJson};
use utoipa::ToSchema;

use crate::App;
use crate::fields::{Errors, json, text};

const MAX_ID_CHARS: usize = 256;
const MAX_DEVICE_CHARS: usize = 100;

/// So that a page of a hundred events is within what a function may answer with.
const MAX_DATA_BYTES: usize = 16 * 1024;
const MAX_LOCATION_BYTES: usize = 4 * 1024;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BehaviorRequest {
    /// 1 to 100 events, which are all taken or none.
    #[schema(min_items = 1, max_items = 100)]
    events: Vec<EventRequest>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewBehaviorEvent)]
#[serde(deny_unknown_fields)]
struct EventRequest {
    /// The product's own name of a visit.
    #[schema(min_length = 1, max_length = 256, example = "visit-7")]
    session_id: String,
    #[schema(min_length = 1, max_length = 256, example = "trail:42")]
    content_id: String,
    /// What happened; at most 16 KiB.
    #[schema(value_type = Object, example = json!({"action": "read", "dwell_ms": 5300}))]
    behavior_data: Map<String, Value>,
    #[schema(min_length = 1, max_length = 100, example = "phone")]
    device_type: Option<String>,
    /// A text or an object, at most 4 KiB.
    #[schema(value_type = Option<Object>, example = json!({"place": "home"}))]
    location_context: Option<Value>,
    /// When it happened; left out, now. At most 5 minutes ahead.
    #[schema(format = DateTime, example = "2026-11-20T20:43:16Z")]
    timestamp: Option<String>,
}

impl BehaviorRequest {
    fn parse(self, now: Timestamp) -> Result<Vec<Event>, Problem> {
        let mut errors = Errors::default();
        errors.one(number_of(&self.events));
        if !errors.is_empty() {
            return Err(errors.into_problem());
        }
        let numbered = self.events.into_iter().enumerate();
        let events: Vec<Event> = numbered
            .filter_map(|(number, event)| event.parse(number, now, &mut errors))
            .collect();
        if errors.is_empty() {
            Ok(events)
        } else {
            Err(errors.into_problem())
        }
    }
}

fn number_of(events: &[EventRequest]) -> Result<(), FieldError> {
    match events.len() {
        0 => Err(FieldError::new(
            "events",
            "too-short",
            "There are no events.",
        )),
        1..=MAX_EVENTS => Ok(()),
        _ => Err(FieldError::new(
            "events",
            "too-long",
            "There are more than 100 events.",
        )),
    }
}

impl EventRequest {
    fn parse(self, number: usize, now: Timestamp, errors: &mut Errors) -> Option<Event> {
        let field = |name: &str| format!("events[{number}].{name}");
        let session_id = text(&field("session_id"), self.session_id, MAX_ID_CHARS);
        let session_id = errors.one(session_id);
        let content_id = text(&field("content_id"), self.content_id, MAX_ID_CHARS);
        let content_id = errors.one(content_id);
        let data = json(&field("behavior_data"), self.behavior_data, MAX_DATA_BYTES);
        let behavior_data = errors.one(data);
        let device = self
            .device_type
            .map(|device| text(&field("device_type"), device, MAX_DEVICE_CHARS));
        let device_type = errors.one(device.transpose());
        let place = self
            .location_context
            .map(|place| location_context(&field("location_context"), place));
        let location_context = errors.one(place.transpose());
        let time = self
            .timestamp
            .map(|time| timestamp(&field("timestamp"), &time, now));
        let timestamp = errors.one(time.unwrap_or(Ok(now)));
        Some(Event {
            session_id: session_id?,
            content_id: content_id?,
            behavior_data: behavior_data?,
            device_type: device_type?,
            location_context: location_context?,
            timestamp: timestamp?,
        })
    }
}

fn location_context(field: &str, place: Value) -> Result<Value, FieldError> {
    if place.is_string() || place.is_object() {
        json(field, place, MAX_LOCATION_BYTES)
    } else {
        let detail = "A location is a text or an object.";
        Err(FieldError::new(field, "wrong-type", detail))
    }
}

fn timestamp(field: &str, text: &str, now: Timestamp) -> Result<Timestamp, FieldError> {
    let time: Timestamp = text
        .parse()
        .map_err(|_| FieldError::new(field, "invalid", "The time is not one by RFC 3339."))?;
    if time > now.plus(MAX_AHEAD) {
        let detail = "The time is more than 5 minutes ahead.";
        return Err(FieldError::new(field, "out-of-range", detail));
    }
    Ok(time)
}

#[derive(Serialize, ToSchema)]
#[schema(as = BehaviorAnswer)]
pub(crate) struct BehaviorBody {
    /// How many events were taken: all of them.
    #[schema(minimum = 1, maximum = 100, example = 1)]
    accepted: usize,
}

/// Report behaviour
///
/// Takes events of the caller's, all or none of them. They are kept for 90 days.
#[utoipa::path(
    post, path = "/api/v1/behavior", operation_id = "reportBehavior", tag = "Content",
    request_body = BehaviorRequest,
    responses((status = 202, description = "The events are taken", body = BehaviorBody)),
    security(("access_token" = ["behavior:write"]), ("api_key" = ["behavior:write"])),
)]
pub(crate) async fn report(
    State(app): State<App>,
    caller: Caller,
    keeper: AnswerKeeper,
    ApiJson(request): ApiJson<BehaviorRequest>,
) -> Result<Answer, Problem> {
    let now = app.now();
    let report = Report::new(caller.id(), request.parse(now)?, now);
    let accepted = report.events.len();
    let answer = Answer::json(StatusCode::ACCEPTED, &BehaviorBody { accepted });
    let kept = keeper.keep(&answer, None);
    app.behavior().record(&report, kept.as_ref()).await?;
    Ok(answer)
}
