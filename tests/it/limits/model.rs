//! What the engines must agree with: the algorithm in its plainest form.
//!
//! Every event that was counted is kept, with its time. Nothing is summed ahead, packed or
//! forgotten, and each answer is worked out from all events anew.

use std::collections::BTreeMap;

use time::{Date, Month, OffsetDateTime};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::policy::Mode;
use turnpike_shared::limits::{Check, Reading, Window, WindowId};

/// The windows of one subject.
#[derive(Default)]
pub(crate) struct Model {
    events: BTreeMap<WindowId, Vec<Event>>,
}

struct Event {
    /// When it happened, in a time that does not run backwards.
    at: Timestamp,
    cell: Cell,
    cost: u64,
}

/// A stretch of time whose events leave together.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell {
    number: i64,
    leaves_at: Timestamp,
}

/// How one check must read; the bucket is an engine's own matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expected {
    pub(crate) used: u64,
    pub(crate) fits: bool,
    pub(crate) admits_at: Option<Timestamp>,
    pub(crate) whole_at: Timestamp,
}

/// What must come of a question.
pub(crate) struct Outcome {
    pub(crate) is_admitted: bool,
    pub(crate) readings: Vec<Expected>,
    /// Where an admitted request stands among the events of each check.
    pub(crate) counted: Vec<Counted>,
}

/// One event, to be taken back.
#[derive(Clone)]
pub(crate) struct Counted {
    id: WindowId,
    index: usize,
    cost: u64,
}

impl Model {
    /// Decides, and counts everywhere or nowhere.
    pub(crate) fn ask(&mut self, checks: &[Check], now: Timestamp) -> Outcome {
        let readings: Vec<Expected> = checks.iter().map(|check| self.read(check, now)).collect();
        let refuses =
            |(check, reading): (&Check, &Expected)| check.mode == Mode::Enforce && !reading.fits;
        if checks.iter().zip(&readings).any(refuses) {
            return Outcome {
                is_admitted: false,
                readings,
                counted: vec![],
            };
        }
        let counted = checks.iter().map(|check| self.count(check, now)).collect();
        let with_it = checks
            .iter()
            .zip(readings)
            .map(|(check, reading)| Expected {
                used: reading.used + check.cost,
                // It stands in nobody's way: the request is through.
                admits_at: None,
                whole_at: self.events[&check.id].last().unwrap().cell.leaves_at,
                ..reading
            });
        Outcome {
            is_admitted: true,
            readings: with_it.collect(),
            counted,
        }
    }

    /// Takes an event back, as long as nothing has been counted in two later cells: older ones
    /// are final.
    pub(crate) fn refund(&mut self, counted: &Counted) {
        let events = self.events.get_mut(&counted.id).expect("it was counted");
        let cell = events[counted.index].cell.number;
        let later: std::collections::BTreeSet<i64> = events
            .iter()
            .map(|event| event.cell.number)
            .filter(|number| *number > cell)
            .collect();
        if later.len() < 2 {
            events[counted.index].cost -= counted.cost;
        }
    }

    fn read(&self, check: &Check, now: Timestamp) -> Expected {
        let time = self.time(&check.id, now);
        let counting: Vec<&Event> = self
            .events_of(&check.id)
            .iter()
            .filter(|event| event.cost > 0 && time < event.cell.leaves_at)
            .collect();
        let sum_at = |moment: Timestamp| -> u64 {
            let left = counting
                .iter()
                .filter(|event| moment < event.cell.leaves_at);
            left.map(|event| event.cost).sum()
        };
        let fits_at = |moment: Timestamp| sum_at(moment) + check.cost <= check.limit;
        let mut leavings: Vec<Timestamp> =
            counting.iter().map(|event| event.cell.leaves_at).collect();
        leavings.sort_unstable();
        let fits = fits_at(time);
        Expected {
            used: sum_at(time),
            fits,
            admits_at: leavings
                .iter()
                .copied()
                .find(|moment| !fits && fits_at(*moment)),
            whole_at: leavings.last().copied().unwrap_or(now),
        }
    }

    fn count(&mut self, check: &Check, now: Timestamp) -> Counted {
        let at = self.time(&check.id, now);
        let events = self.events.entry(check.id.clone()).or_default();
        events.push(Event {
            at,
            cell: cell_of(check.window, at),
            cost: check.cost,
        });
        Counted {
            id: check.id.clone(),
            index: events.len() - 1,
            cost: check.cost,
        }
    }

    /// The time that a clock tells, unless something was counted later.
    fn time(&self, id: &WindowId, now: Timestamp) -> Timestamp {
        let last = self.events_of(id).last();
        last.map_or(now, |event| event.at.max(now))
    }

    fn events_of(&self, id: &WindowId) -> &[Event] {
        self.events.get(id).map_or(&[], Vec::as_slice)
    }
}

/// What an engine's reading says, without what is its own matter.
pub(crate) fn seen(reading: &Reading) -> Expected {
    Expected {
        used: reading.used,
        fits: reading.fits,
        admits_at: reading.admits_at,
        whole_at: reading.whole_at,
    }
}

/// The sixtieth of a window, or the month in UTC, that a moment lies in.
fn cell_of(window: Window, at: Timestamp) -> Cell {
    match window {
        Window::Sliding { seconds } => {
            let length = i128::from(seconds) * 1_000;
            let number = (i128::from(at.millis()) * 60).div_euclid(length);
            // Its end, and a whole window; the first whole millisecond that is not before.
            let leaves_at = -(-(number + 1 + 60) * length).div_euclid(60);
            Cell {
                number: i64::try_from(number).unwrap(),
                leaves_at: Timestamp::from_millis(i64::try_from(leaves_at).unwrap()),
            }
        }
        Window::Month => {
            let date = OffsetDateTime::from_unix_timestamp(at.seconds())
                .unwrap()
                .date();
            let (year, next) = match date.month() {
                Month::December => (date.year() + 1, Month::January),
                month => (date.year(), month.next()),
            };
            let end = Date::from_calendar_date(year, next, 1).unwrap();
            let end = end.midnight().assume_utc().unix_timestamp();
            Cell {
                number: end,
                leaves_at: Timestamp::from_millis(end * 1_000),
            }
        }
    }
}
