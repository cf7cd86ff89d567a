//! Items of what users keep: preferences and behaviour.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{json_text, user_pk};
use crate::behavior::{Event, Report};
use crate::clock::Timestamp;
use crate::ids::{EventId, UserId};
use crate::preferences::{KeptPreferences, Preferences};

pub(crate) const PREFERENCES_SK: &str = "PREFERENCES";

/// Before the id of each report of a user's behaviour.
pub(crate) const REPORT_SK_PREFIX: &str = "EVENTS#";

/// Reports lie in the order in which they came.
pub(crate) fn report_sk(report: EventId) -> String {
    format!("{REPORT_SK_PREFIX}{report}")
}

/// The one set of preferences that a user has.
#[derive(Serialize, Deserialize)]
pub(crate) struct PreferencesItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    #[serde(with = "json_text")]
    pub(crate) topic_preferences: Map<String, Value>,
    pub(crate) depth_preference: u64,
    pub(crate) surprise_tolerance: u64,
    #[serde(with = "json_text")]
    pub(crate) contextual_preferences: Map<String, Value>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl PreferencesItem {
    pub(crate) fn new(user: UserId, kept: &KeptPreferences) -> Self {
        let preferences = kept.preferences.clone();
        Self {
            pk: user_pk(user),
            sk: PREFERENCES_SK.to_owned(),
            topic_preferences: preferences.topic_preferences,
            depth_preference: preferences.depth_preference,
            surprise_tolerance: preferences.surprise_tolerance,
            contextual_preferences: preferences.contextual_preferences,
            created_at: kept.created_at.millis(),
            updated_at: kept.updated_at.millis(),
        }
    }
}

impl From<PreferencesItem> for KeptPreferences {
    fn from(item: PreferencesItem) -> Self {
        Self {
            preferences: Preferences {
                topic_preferences: item.topic_preferences,
                depth_preference: item.depth_preference,
                surprise_tolerance: item.surprise_tolerance,
                contextual_preferences: item.contextual_preferences,
            },
            created_at: Timestamp::from_millis(item.created_at),
            updated_at: Timestamp::from_millis(item.updated_at),
        }
    }
}

/// The events of one request, newest first.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReportItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) user_id: UserId,
    pub(crate) events: Vec<EventAttribute>,
    pub(crate) came_at: i64,
    pub(crate) ttl: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EventAttribute {
    id: EventId,
    session_id: String,
    content_id: String,
    #[serde(with = "json_text")]
    behavior_data: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    device_type: Option<String>,
    #[serde(with = "json_text", skip_serializing_if = "Option::is_none", default)]
    location_context: Option<Value>,
    at: i64,
}

impl ReportItem {
    /// The item of a report; `None` if there are no events in it.
    pub(crate) fn new(report: &Report) -> Option<Self> {
        let attribute = |(id, event): &(EventId, Event)| EventAttribute {
            id: *id,
            session_id: event.session_id.clone(),
            content_id: event.content_id.clone(),
            behavior_data: event.behavior_data.clone(),
            device_type: event.device_type.clone(),
            location_context: event.location_context.clone(),
            at: event.timestamp.millis(),
        };
        Some(Self {
            pk: user_pk(report.user),
            sk: report_sk(report.id()?),
            user_id: report.user,
            events: report.events.iter().map(attribute).collect(),
            came_at: report.came_at.millis(),
            ttl: report.expires_at().seconds(),
        })
    }
}

impl From<ReportItem> for Report {
    fn from(item: ReportItem) -> Self {
        let event = |attribute: EventAttribute| {
            let event = Event {
                session_id: attribute.session_id,
                content_id: attribute.content_id,
                behavior_data: attribute.behavior_data,
                device_type: attribute.device_type,
                location_context: attribute.location_context,
                timestamp: Timestamp::from_millis(attribute.at),
            };
            (attribute.id, event)
        };
        Self {
            user: item.user_id,
            came_at: Timestamp::from_millis(item.came_at),
            events: item.events.into_iter().map(event).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stores::{from_item, to_item};

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    #[test]
    fn preferences_read_back_as_they_were_put() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let kept = KeptPreferences {
            preferences: Preferences {
                topic_preferences: map(json!({"z": 0.5, "a": {"deep": [1e300, u64::MAX, null]}})),
                depth_preference: 6,
                surprise_tolerance: 1,
                contextual_preferences: Map::new(),
            },
            created_at: NOW,
            updated_at: Timestamp::from_millis(NOW.millis() + 1),
        };
        let user = UserId::new(NOW);

        let item = to_item(PreferencesItem::new(user, &kept)).unwrap();

        let read: PreferencesItem = from_item(item).unwrap();
        assert_eq!(read.pk, format!("USER#{user}"));
        assert_eq!(KeptPreferences::from(read), kept);
    }

    #[test]
    fn a_report_reads_back_as_it_came_and_is_kept_for_90_days() {
        let event = Event {
            session_id: "s-1".to_owned(),
            content_id: "trail:42".to_owned(),
            behavior_data: json!({"dwell_ms": 41}).as_object().unwrap().clone(),
            device_type: None,
            location_context: None,
            timestamp: Timestamp::from_millis(-1),
        };
        let with_all = Event {
            device_type: Some("phone".to_owned()),
            location_context: Some(json!({"place": ["home", 1.5]})),
            timestamp: NOW,
            ..event.clone()
        };
        let report = Report::new(UserId::new(NOW), vec![event, with_all], NOW);

        let item = to_item(ReportItem::new(&report).unwrap()).unwrap();

        let read: ReportItem = from_item(item).unwrap();
        assert_eq!(read.sk, format!("EVENTS#{}", report.events[0].0));
        assert_eq!(read.ttl, 1_795_207_396 + 90 * 86_400);
        assert_eq!(Report::from(read), report);
    }
}
