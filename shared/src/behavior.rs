//! Behaviour: events that a product reports of what its user did.
//!
//! Rules without I/O. Nothing is derived from events here. The events of one report are kept together
//! and in the order in which they happened; reports in the order in which they came.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::{EventId, UserId};

/// How long events are kept after they came.
pub const RETENTION: Duration = Duration::from_hours(90 * 24);

/// How many events one report holds.
pub const MAX_EVENTS: usize = 100;

/// How far ahead of the server's clock an event may lie: clocks differ.
pub const MAX_AHEAD: Duration = Duration::from_mins(5);

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub session_id: String,
    pub content_id: String,
    pub behavior_data: Map<String, Value>,
    pub device_type: Option<String>,
    /// A text or an object.
    pub location_context: Option<Value>,
    pub timestamp: Timestamp,
}

/// The events that came in one request, all or none.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub user: UserId,
    pub came_at: Timestamp,
    /// Newest first, each with its id; the ids descend.
    pub events: Vec<(EventId, Event)>,
}

impl Report {
    /// The report of these events, of which the later ones come last when they are of one time.
    pub fn new(user: UserId, events: Vec<Event>, now: Timestamp) -> Self {
        let mut ids: Vec<EventId> = events.iter().map(|_| EventId::new(now)).collect();
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        let mut newest_first = events;
        newest_first.reverse();
        newest_first.sort_by_key(|event| std::cmp::Reverse(event.timestamp));
        Self {
            user,
            came_at: now,
            events: ids.into_iter().zip(newest_first).collect(),
        }
    }

    /// The report's own id: that of its newest event. `None` if there is none.
    pub fn id(&self) -> Option<EventId> {
        self.events.first().map(|(id, _)| *id)
    }

    /// From when on its events are no longer shown.
    pub fn expires_at(&self) -> Timestamp {
        self.came_at.plus(RETENTION)
    }
}

/// Where an event stands in the list of a user's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    pub report: EventId,
    pub index: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.report, self.index)
    }
}

/// What stands where a position should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position in a list of events")]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (report, index) = text.split_once('.').ok_or(InvalidPosition)?;
        Ok(Self {
            report: report.parse().map_err(|_| InvalidPosition)?,
            index: index.parse().map_err(|_| InvalidPosition)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn event(name: &str, seconds: i64) -> Event {
        Event {
            session_id: "s".to_owned(),
            content_id: name.to_owned(),
            behavior_data: Map::new(),
            device_type: None,
            location_context: None,
            timestamp: Timestamp::from_millis(seconds * 1000),
        }
    }

    #[test]
    fn events_stand_newest_first_and_of_one_time_the_last_one_first() {
        let events = vec![event("b", 2), event("d", 9), event("c", 2), event("a", 1)];

        let report = Report::new(UserId::new(NOW), events, NOW);

        let order: String = report
            .events
            .iter()
            .map(|(_, event)| event.content_id.as_str())
            .collect();
        assert_eq!(order, "dcba");
        assert!(report.events.is_sorted_by(|(one, _), (next, _)| one > next));
        assert_eq!(report.id(), Some(report.events[0].0));
    }

    #[test]
    fn a_position_reads_back_as_itself() {
        let position = Position {
            report: EventId::new(NOW),
            index: 99,
        };

        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", ".", "evt_x.1", &format!("{}.", position.report)] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
