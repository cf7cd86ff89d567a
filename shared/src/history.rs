//! What users asked upstreams for: the record of one query, as the history shows it.
//!
//! Rules without I/O. Where records are kept is the store's matter; what a query came to, the
//! answer itself, is kept by the cache or not at all.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{QueryId, UserId};

/// How long a record is kept.
pub const RETENTION: Duration = Duration::from_hours(90 * 24);

/// How much of a query's text is kept, in characters: a hundred records of the longest texts stay
/// far below what one answer of a function may hold.
pub const MAX_QUERY_CHARS: usize = 2_000;

/// One query of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryRecord {
    pub id: QueryId,
    pub user: UserId,
    pub upstream: String,
    /// What was asked for, at most [`MAX_QUERY_CHARS`] of it.
    pub query: String,
    /// The HTTP status that the query was answered with.
    pub status: u16,
    /// The name of the tier of the cache that answered. A record outlives releases, so it is kept as
    /// it was shown.
    pub cache_tier: Option<String>,
    pub execution_time_ms: u64,
    pub created_at: Timestamp,
}

impl QueryRecord {
    /// As much of a query's text as is kept of it.
    pub fn text_kept(query: &str) -> &str {
        let end = query.char_indices().nth(MAX_QUERY_CHARS);
        end.map_or(query, |(end, _)| query.get(..end).unwrap_or(query))
    }

    /// From when on the record is no longer shown.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus(RETENTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_behind_a_character_and_a_short_one_not_at_all() {
        let long = "ü".repeat(MAX_QUERY_CHARS + 1);

        assert_eq!(QueryRecord::text_kept("whales"), "whales");
        assert_eq!(QueryRecord::text_kept(""), "");
        assert_eq!(QueryRecord::text_kept(&long), "ü".repeat(MAX_QUERY_CHARS));
    }
}
