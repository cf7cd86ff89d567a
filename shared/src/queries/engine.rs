//! The engine: a query goes to the cache, and past it to the upstream.
//!
//! The cache never fails a query: at worst the upstream is asked.

use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::{Kept, Unusable, may_be_kept};
use super::key::{Dependencies, Query};
use crate::cache::{
    Cache, CacheKey, CacheName, CacheOwner, CacheStatus, CacheTag, CacheTier, Cached, Computed,
    Mode,
};
use crate::errors::Problem;
use crate::ids::UserId;
use crate::limits::policy::{Policy, QueryMethod, UpstreamPolicy};
use crate::upstreams::{InvalidTarget, Target, UpstreamError, UpstreamRequest, Upstreams};

/// What is asked, and for whom.
pub struct Question<'a> {
    pub user: UserId,
    pub policy: &'a Policy,
    pub upstream: &'a UpstreamPolicy,
    pub query: &'a Query,
    /// What of the caller's request goes along; see [`super::headers_for`].
    pub headers: HeaderMap,
    pub mode: Mode,
    /// When an answer is of no use any more.
    pub deadline: Instant,
}

/// What came of a query.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Box<RawValue>, QueryError>,
    pub status: CacheStatus,
    /// Where in the cache it was.
    pub tier: Option<CacheTier>,
    pub age: Duration,
    pub execution_time: Duration,
}

impl Outcome {
    /// Whether nobody had to wait for the upstream.
    pub fn is_from_cache(&self) -> bool {
        matches!(self.status, CacheStatus::Hit | CacheStatus::Stale)
    }
}

/// Why a query has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Upstream(error) => error.into(),
            QueryError::Unusable(reason) => reason.into(),
        }
    }
}

/// Asks upstreams through the cache. Cheap to clone.
#[derive(Clone)]
pub struct Queries {
    cache: Cache,
    upstreams: Upstreams,
}
