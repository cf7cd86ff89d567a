//! The engine: a query goes to the cache, and past it to the upstream.
//!
//! The cache never fails a query: at worst the upstream is asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::answer::{Kept, Unusable, may_be_kept};
use super::key::{Dependencies, Query, headers_for};
use crate::cache::{
    Cache, CacheKey, CacheName, CacheOwner, CacheStatus, CacheTag, CacheTier, Cached, Computed,
    Mode,
};
use crate::errors::Problem;
use crate::ids::UserId;
use crate::limits::policy::{Policy, QueryMethod, UpstreamPolicy};
use crate::upstreams::{InvalidTarget, Target, UpstreamError, UpstreamRequest, Upstreams};

/// JSON is asked for, and anything is taken.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A query that can be put to its upstream.
#[derive(Clone)]
pub struct Question {
    policy: Arc<Policy>,
    upstream: UpstreamPolicy,
    name: String,
    request: UpstreamRequest,
}

/// Who asks, and how.
#[derive(Clone, Copy)]
pub struct Asker {
    pub user: UserId,
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

/// Why a query has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// What is kept cannot be read, although it was just made.
    #[error("the answer could not be read back")]
    Unreadable,
}

/// Asks upstreams through the cache. Cheap to clone.
#[derive(Clone)]
pub struct Queries {
    cache: Cache,
    upstreams: Upstreams,
}

impl Question {
    /// What is put to `upstream`, which is the one of the policy that the query names; `sent` are
    /// headers of the caller's request, which go along as far as the policy says so.
    pub fn new(
        policy: Arc<Policy>,
        upstream: &UpstreamPolicy,
        query: &Query,
        sent: &HeaderMap,
    ) -> Result<Self, InvalidTarget> {
        let target = Target::of_query(upstream, &query.text, &query.params())?;
        let mut own_headers = HeaderMap::new();
        own_headers.insert(ACCEPT, ACCEPTED);
        let (method, body) = match upstream.method {
            QueryMethod::Get => (Method::GET, Bytes::new()),
            QueryMethod::Post => {
                own_headers.insert(CONTENT_TYPE, JSON);
                let body = json!({"query": query.text, "params": query.params()});
                (Method::POST, Bytes::from(body.to_string()))
            }
        };
        let request = UpstreamRequest {
            method,
            target,
            headers: headers_for(upstream, sent),
            own_headers,
            body,
        };
        Ok(Self {
            policy,
            upstream: upstream.clone(),
            name: query.upstream.clone(),
            request,
        })
    }

    fn key(&self, user: UserId) -> CacheKey {
        let upstream = &self.upstream;
        let owner = (!upstream.shared_cache).then_some(user);
        let dependencies = Dependencies {
            upstream: &self.name,
            policy: self.policy.digest(),
            method: self.request.method.as_str(),
            target: self.request.target.as_str(),
            body: &self.request.body,
            headers: &self.request.headers,
            owner,
        };
        CacheKey {
            owner: owner.map_or(CacheOwner::Shared, CacheOwner::User),
            name: CacheName::of(&format!("query/{}", self.name)),
            tags: vec![CacheTag::of_upstream(&self.name)],
            digest: dependencies.digest(),
        }
    }

    /// Who may not go past what is shared gets what is shared; the answer says so.
    fn mode(&self, wanted: Mode) -> Mode {
        if self.upstream.shared_cache && !self.upstream.allow_refresh {
            Mode::Default
        } else {
            wanted
        }
    }
}

impl Queries {
    pub fn new(cache: Cache, upstreams: Upstreams) -> Self {
        Self { cache, upstreams }
    }

    /// Asks, and says what came of it and how long that took.
    pub async fn ask(&self, question: Question, asker: Asker) -> Outcome {
        let began = Instant::now();
        let mode = question.mode(asker.mode);
        let key = question.key(asker.user);
        let asking = Asking {
            upstreams: self.upstreams.clone(),
            question: Arc::new(question),
            deadline: asker.deadline,
        };
        let mut found = self.look(&key, mode, &asking).await;
        if let Ok((Err(QueryError::Unreadable), _)) = found {
            // The upstream has it, whoever wrote what is kept.
            found = self.look(&key, Mode::Refresh, &asking).await;
        }
        let execution_time = began.elapsed();
        match found {
            Ok((result, cached)) => Outcome {
                result,
                status: cached.status,
                tier: cached.tier,
                age: cached.age,
                execution_time,
            },
            Err(error) => Outcome {
                result: Err(error),
                status: without_an_entry(mode),
                tier: None,
                age: Duration::ZERO,
                execution_time,
            },
        }
    }

    async fn look(
        &self,
        key: &CacheKey,
        mode: Mode,
        asking: &Asking,
    ) -> Result<(Result<Box<RawValue>, QueryError>, Cached), QueryError> {
        let asking = asking.clone();
        let compute = move |_| asking.clone().compute();
        let cached = Box::pin(self.cache.get_or_compute(key, mode, compute)).await?;
        let kept = postcard::from_bytes::<Kept>(&cached.value).ok();
        let result = match kept.and_then(Kept::into_result) {
            Some(result) => result.map_err(QueryError::Unusable),
            None => Err(QueryError::Unreadable),
        };
        Ok((result, cached))
    }
}

impl Outcome {
    /// Whether nobody had to wait for the upstream.
    pub fn is_from_cache(&self) -> bool {
        matches!(self.status, CacheStatus::Hit | CacheStatus::Stale)
    }
}

fn without_an_entry(mode: Mode) -> CacheStatus {
    match mode {
        Mode::Default => CacheStatus::Miss,
        Mode::Bypass => CacheStatus::Bypass,
        Mode::Refresh => CacheStatus::Refresh,
    }
}

/// One question on its way past the cache.
#[derive(Clone)]
struct Asking {
    upstreams: Upstreams,
    question: Arc<Question>,
    deadline: Instant,
}

impl Asking {
    async fn compute(self) -> Result<Computed, QueryError> {
        let Question {
            upstream,
            name,
            request,
            ..
        } = &*self.question;
        let answer = self
            .upstreams
            .call(name, upstream, request.clone(), self.deadline)
            .await?;
        let kept = Kept::of(answer.status, &answer.headers, &answer.body)?;
        let fresh_for = match kept {
            Kept::Result(_) => upstream.cache_ttl,
            Kept::NotThere(_) => upstream.negative_ttl,
        };
        // Of two strings and a number, written into memory.
        let value = postcard::to_allocvec(&kept).map_err(|_| QueryError::Unreadable)?;
        let is_for_one_client = answer.is_for_its_reader;
        Ok(Computed {
            value: Bytes::from(value),
            fresh_for,
            stale_for: upstream.stale,
            is_stored: !is_for_one_client
                && !fresh_for.is_zero()
                && may_be_kept(&answer.headers, upstream.shared_cache),
        })
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Upstream(error) => error.into(),
            QueryError::Unusable(reason) => reason.into(),
            QueryError::Unreadable => Self::internal(error),
        }
    }
}
