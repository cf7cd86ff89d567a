//! For how long what is cached stays fresh, by the kind of content.

use std::time::Duration;

use serde::Deserialize;

use super::read::seconds;

/// The longest time: 31 days, like the longest window.
const MAX_SECONDS: u64 = 31 * 24 * 60 * 60;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheTtls {
    #[serde(deserialize_with = "seconds::<1, MAX_SECONDS, _>")]
    pub dataset_list: Duration,
    #[serde(deserialize_with = "seconds::<1, MAX_SECONDS, _>")]
    pub dataset_content: Duration,
    #[serde(deserialize_with = "seconds::<1, MAX_SECONDS, _>")]
    pub query_result: Duration,
    #[serde(deserialize_with = "seconds::<1, MAX_SECONDS, _>")]
    pub session_state: Duration,
    #[serde(deserialize_with = "seconds::<1, MAX_SECONDS, _>")]
    pub llm_models: Duration,
}

impl Default for CacheTtls {
    fn default() -> Self {
        Self {
            dataset_list: Duration::from_mins(1),
            dataset_content: Duration::from_mins(5),
            query_result: Duration::from_mins(5),
            session_state: Duration::from_mins(30),
            llm_models: Duration::from_hours(1),
        }
    }
}
