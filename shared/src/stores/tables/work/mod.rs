//! The `work` table: what users keep, and what was done for them.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `USER#<user>` | `QUERY#<query>` | [`QueryItem`]: a query that the user asked |
//! | `USER#<user>` | `JOB#<job>` | [`JobItem`]: a job that the user submitted |
//! | `USER#<user>` | `PREFERENCES` | [`PreferencesItem`]: what the user prefers |
//! | `USER#<user>` | `EVENTS#<event>` | [`ReportItem`]: events of the user's behaviour that came together |
//! | `USER#<user>` | `LOCATION#<location>` | [`PutByItem`]: where the user put content last |
//! | `LOCATION#<location>` | `LOCATION` | [`LocationItem`]: what content is at a location |
//! | `CONTENT#<hash>` | `CONTENT` | [`ContentItem`]: a piece of content, and what refers to it |
//!
//! Everything of a user lies in the user's partition or is named there. Ids carry their time, so the
//! items of a kind sort by it, and what was made first expires first.
//!
//! JSON of a user's own is kept as its text: DynamoDB's numbers have other bounds, and its values nest
//! less deeply.

mod content;
mod jobs;
mod users;

use serde::{Deserialize, Serialize};

pub(crate) use content::{
    CONTENT_SK, ContentItem, LOCATION_SK, LocationItem, PutByItem, content_pk, location_pk,
    put_by_sk,
};
pub(crate) use jobs::{JOB_SK_PREFIX, JobItem, job_sk};
pub(crate) use users::{PREFERENCES_SK, PreferencesItem, REPORT_SK_PREFIX, ReportItem, report_sk};

use crate::clock::Timestamp;
use crate::history::QueryRecord;
use crate::ids::{QueryId, UserId};

/// Before the id of each query of a user.
pub(crate) const QUERY_SK_PREFIX: &str = "QUERY#";

pub(crate) fn user_pk(user: UserId) -> String {
    format!("USER#{user}")
}

pub(crate) fn query_sk(id: QueryId) -> String {
    format!("{QUERY_SK_PREFIX}{id}")
}

/// A query, as the history has it.
#[derive(Serialize, Deserialize)]
pub(crate) struct QueryItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: QueryId,
    pub(crate) user_id: UserId,
    pub(crate) upstream: String,
    pub(crate) query: String,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cache_tier: Option<String>,
    pub(crate) execution_time_ms: u64,
    pub(crate) created_at: i64,
    pub(crate) ttl: i64,
}

impl From<&QueryRecord> for QueryItem {
    fn from(record: &QueryRecord) -> Self {
        Self {
            pk: user_pk(record.user),
            sk: query_sk(record.id),
            id: record.id,
            user_id: record.user,
            upstream: record.upstream.clone(),
            query: QueryRecord::text_kept(&record.query).to_owned(),
            status: record.status,
            cache_tier: record.cache_tier.clone(),
            execution_time_ms: record.execution_time_ms,
            created_at: record.created_at.millis(),
            ttl: record.expires_at().seconds(),
        }
    }
}

impl From<QueryItem> for QueryRecord {
    fn from(item: QueryItem) -> Self {
        Self {
            id: item.id,
            user: item.user_id,
            upstream: item.upstream,
            query: item.query,
            status: item.status,
            cache_tier: item.cache_tier,
            execution_time_ms: item.execution_time_ms,
            created_at: Timestamp::from_millis(item.created_at),
        }
    }
}

/// JSON as its text: `#[serde(with = "json_text")]`.
mod json_text {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::MAX_QUERY_CHARS;
    use crate::stores::{from_item, to_item};

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn record() -> QueryRecord {
        QueryRecord {
            id: QueryId::new(NOW),
            user: UserId::new(NOW),
            upstream: "library".to_owned(),
            query: "whales".to_owned(),
            status: 200,
            cache_tier: Some("valkey".to_owned()),
            execution_time_ms: 41,
            created_at: NOW,
        }
    }

    #[test]
    fn a_query_reads_back_as_it_was_asked_and_is_kept_for_90_days() {
        for cache_tier in [Some("memory".to_owned()), None] {
            let record = QueryRecord {
                cache_tier,
                ..record()
            };

            let item = to_item(QueryItem::from(&record)).unwrap();

            let read: QueryItem = from_item(item).unwrap();
            assert_eq!(read.pk, format!("USER#{}", record.user));
            assert_eq!(read.sk, format!("QUERY#{}", record.id));
            assert_eq!(read.ttl, 1_795_207_396 + 90 * 86_400);
            assert_eq!(QueryRecord::from(read), record);
        }
    }

    #[test]
    fn a_long_query_is_kept_in_part() {
        let record = QueryRecord {
            query: "x".repeat(1024 * 1024),
            ..record()
        };

        let item = QueryItem::from(&record);

        assert_eq!(item.query.len(), MAX_QUERY_CHARS);
    }
}
