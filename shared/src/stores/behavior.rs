//! Events of users' behaviour, in their user's partition: one item for the events that came together.

use super::accounts::create;
use super::tables::work::{REPORT_SK_PREFIX, ReportItem, report_sk};
use super::work::{WorkTable, key_of};
use super::{DynamoDb, NewestFirst, StoreError, UserStore};
use crate::behavior::{Event, Position, Report};
use crate::clock::Timestamp;
use crate::idempotency::KeptAnswer;
use crate::ids::{EventId, UserId};

/// How many reports are read at first. One may hold a hundred events, or one.
const FIRST_READ: usize = 2;

/// An event in the list of a user's.
#[derive(Clone, PartialEq, Debug)]
pub struct ListedEvent {
    pub position: Position,
    pub id: EventId,
    pub event: Event,
    pub came_at: Timestamp,
}

/// What users did, as products report it. Answers that are to be shown again are kept beside what is
/// counted of users.
#[derive(Clone)]
pub struct BehaviorStore {
    table: WorkTable,
    users: UserStore,
}

impl BehaviorStore {
    pub fn new(dynamodb: &DynamoDb, work_table: String, users: UserStore) -> Self {
        Self {
            table: WorkTable::new(dynamodb, work_table),
            users,
        }
    }

    /// Writes a report's events down and keeps the answer, all or none.
    pub async fn record(
        &self,
        report: &Report,
        answer: Option<&KeptAnswer>,
    ) -> Result<(), StoreError> {
        let item = ReportItem::new(report);
        let write = item
            .map(|item| create(&self.table.name, item))
            .transpose()?;
        let writes = write.into_iter().collect();
        Ok(self.users.transact_and_keep(writes, answer).await?)
    }

    /// At most `limit` events of a user, newest first, from behind `behind` on.
    pub async fn list(
        &self,
        user: UserId,
        behind: Option<Position>,
        limit: usize,
        now: Timestamp,
    ) -> Result<NewestFirst<ListedEvent>, StoreError> {
        // What sorts right behind the report itself, so that the rest of it is read again.
        let mut start = behind.map(|at| key_of(user, &format!("{}!", report_sk(at.report))));
        let mut items: Vec<ListedEvent> = vec![];
        let mut most = FIRST_READ;
        loop {
            let (found, next) = self
                .table
                .read_some::<ReportItem>(user, REPORT_SK_PREFIX, start, most, now)
                .await?;
            let reports = found.into_iter().map(Report::from);
            items.extend(
                reports
                    .flat_map(listed)
                    .filter(|event| is_behind(event, behind)),
            );
            start = next;
            if start.is_none() || items.len() > limit {
                break;
            }
            most = (most * 2).min(limit + 1 - items.len());
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(NewestFirst { items, has_more })
    }
}

fn listed(report: Report) -> Vec<ListedEvent> {
    let (came_at, id) = (report.came_at, report.id());
    let events = report.events.into_iter().enumerate();
    let at = |index| id.map(|report| Position { report, index });
    let listed = events.filter_map(|(index, (id, event))| {
        Some(ListedEvent {
            position: at(index)?,
            id,
            event,
            came_at,
        })
    });
    listed.collect()
}

fn is_behind(event: &ListedEvent, behind: Option<Position>) -> bool {
    behind.is_none_or(|at| event.position.report != at.report || event.position.index > at.index)
}
