//! Plain questions, by way of the cache: one answer of an address under its own key, which also tells
//! what answers there vary by, and the others under keys of their own.
//!
//! What may be kept and who may have it is [`crate::http_cache`]'s to say; here the cache and the
//! upstream are asked in its terms.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use http::{Method, Response, StatusCode};
use turnpike_shared::cache::{
    self, Cache, CacheKey, CacheName, CacheOwner, CacheStatus as Found, CacheTag, Cached, Computed,
    Invalidation, Usable,
};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::errors::{Problem, ProblemCode, chain};
use turnpike_shared::upstreams::{UpstreamAnswer, UpstreamError, Upstreams};

use super::answer::Answer;
use super::exchange::Exchange;
use crate::http_cache::{Asked, CacheStatus, Entry, Forwarded, Selection, Terms, Use, Why};

/// Distinguishes keys of this form from those of any other.
const FORM: &[u8] = b"proxy 1";

/// Who keeps answers, and who gives them.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) cache: Cache,
    pub(crate) upstreams: Upstreams,
    pub(crate) clock: Clock,
}

/// A question on its way through the cache.
#[derive(Clone)]
pub(super) struct Question {
    sources: Sources,
    exchange: Arc<Exchange>,
    asked: Asked,
    terms: Terms,
    asked_at: Timestamp,
}

/// What is kept could not be read, although it was just made.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be read back")]
struct Unreadable;

/// What a look into the cache came to.
struct Looked {
    /// What is there, or what the upstream was asked for.
    cached: Option<Cached>,
    /// What the first entry that was there was good for.
    first: Option<Use>,
    why_missed: Why,
}

impl Question {
    pub(super) fn new(sources: Sources, exchange: Exchange) -> Self {
        Self {
            asked: exchange.asked(),
            terms: exchange.terms(),
            asked_at: sources.clock.now(),
            exchange: Arc::new(exchange),
            sources,
        }
    }

    /// The answer, from wherever it may be had.
    pub(super) async fn answered(self) -> Result<Answer, Problem> {
        let mut looked = self.look(None).await?;
        if let Some(other) = looked
            .cached
            .as_ref()
            .and_then(|cached| self.variant(cached))
        {
            looked = self.look(Some(&other)).await?;
        }
        let why = looked.why();
        match looked.cached {
            Some(cached) => {
                let answer = self.given(cached, why).await?;
                Ok(answer.unless_known(&self.exchange.headers))
            }
            None if self.asked.wants_cached_only() => Err(not_cached()),
            None => {
                let answer = self.exchange.pass(&self.sources.upstreams).await?;
                let forwarded = Forwarded::not_kept(why, answer.status);
                Ok(Answer::passed(answer, CacheStatus::Forwarded(forwarded)))
            }
        }
    }

    /// Looks for the answer that `selection` names, or for the one that is there without a name, and
    /// has it fetched where that is wanted.
    async fn look(&self, selection: Option<&Selection>) -> Result<Looked, Problem> {
        let key = key(&self.exchange, selection);
        let first = Arc::new(Mutex::new(None));
        let judge = self.judge(selection.is_some(), Arc::clone(&first));
        let cache = &self.sources.cache;
        let cached = if self.is_fetched() {
            let question = self.clone();
            // Small, however much is behind it: the cache hands it from hand to hand.
            let compute = move |older| Box::pin(question.clone().computed(older));
            Some(Box::pin(cache.fetch(&key, judge, compute)).await?)
        } else {
            cache.find(&key, judge).await
        };
        let first = *first.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Looked {
            cached,
            first,
            why_missed: selection.map_or(Why::UriMiss, |_| Why::VaryMiss),
        })
    }

    /// Whether what is not there is fetched for the cache. A HEAD brings nothing that could be kept.
    fn is_fetched(&self) -> bool {
        self.exchange.method == Method::GET
            && !self.asked.forbids_storing()
            && !self.asked.wants_cached_only()
    }

    /// Says what an entry is good for. Two kinds are let through that are of no use as an answer: one
    /// that tells what answers vary by, where that is not known yet, and one that was brought while this
    /// request waited, which spares it to wait for its turn to ask.
    fn judge(
        &self,
        is_selected: bool,
        first: Arc<Mutex<Option<Use>>>,
    ) -> impl Fn(&cache::Entry) -> Usable + Clone + Send + Sync + 'static {
        let question = self.clone();
        move |kept: &cache::Entry| {
            let Some(entry) = Entry::decode(&kept.value) else {
                return Usable::No;
            };
            let found = question.usable(&entry);
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(found);
            match found {
                // It may vary by more than those before it, by which it was looked for.
                Use::OtherVariant if is_selected && !question.came_meanwhile(kept) => Usable::No,
                Use::Fresh | Use::OtherVariant => Usable::Fresh,
                Use::WhileRevalidating => Usable::Stale,
                Use::Stale | Use::Refused if question.came_meanwhile(kept) => Usable::Fresh,
                Use::Stale | Use::Refused => Usable::No,
            }
        }
    }

    /// What the request asks for, if what is there is for others.
    fn variant(&self, cached: &Cached) -> Option<Selection> {
        let is_kept = cached.status != Found::Miss;
        let entry = Entry::decode(&cached.value).filter(|_| is_kept)?;
        let is_other = self.usable(&entry) == Use::OtherVariant;
        entry.selection(&self.asked).filter(|_| is_other)
    }

    async fn given(&self, cached: Cached, why: Why) -> Result<Answer, Problem> {
        let entry = Entry::decode(&cached.value).ok_or_else(|| Problem::internal(Unreadable))?;
        if cached.status == Found::Miss {
            return Ok(self.fetched(entry, why, Kept::Now));
        }
        if self.usable(&entry) == Use::OtherVariant {
            let own = self.entry(None).await?;
            return Ok(self.fetched(own, Why::VaryMiss, Kept::Not));
        }
        if !self.came_meanwhile(&cached.entry) {
            let now = self.sources.clock.now();
            let age = entry.age(self.terms, now);
            let status = CacheStatus::Hit {
                ttl: entry.ttl(self.terms, now),
                detail: cached.tier.map(cache::CacheTier::as_str),
            };
            return Ok(Answer::of_entry(entry, Some(age), status));
        }
        if self.is_for_all(&entry) {
            return Ok(self.fetched(entry, why, Kept::ByAnother));
        }
        let own = self.entry(Some(entry)).await?;
        Ok(self.fetched(own, why, Kept::Not))
    }

    /// What the upstream was asked for.
    fn fetched(&self, entry: Entry, why: Why, kept: Kept) -> Answer {
        let now = self.sources.clock.now();
        let ttl = entry.ttl(self.terms, now);
        let (fresh, stale) = entry.lifetime(self.terms, now);
        let is_stored = kept == Kept::Now && !(fresh + stale).is_zero();
        let status = Forwarded {
            stored_for: is_stored.then_some(ttl),
            is_collapsed: kept == Kept::ByAnother,
            ..Forwarded::not_kept(why, entry.upstream_status)
        };
        let is_of_this_moment = kept != Kept::ByAnother && entry.status == entry.upstream_status;
        let age = (!is_of_this_moment).then(|| entry.age(self.terms, now));
        Answer::of_entry(entry, age, CacheStatus::Forwarded(status))
    }

    /// Asks the upstream, with what is there already if that can spare it the answer's body.
    async fn computed(self, older: Option<cache::Entry>) -> Result<Computed, UpstreamError> {
        let older = older.and_then(|older| Entry::decode(&older.value));
        let entry = self.entry(older).await?;
        let (fresh_for, stale_for) = entry.lifetime(self.terms, self.sources.clock.now());
        Ok(Computed {
            value: entry.encode(),
            fresh_for,
            stale_for,
            is_stored: !(fresh_for + stale_for).is_zero(),
        })
    }

    async fn entry(&self, older: Option<Entry>) -> Result<Entry, UpstreamError> {
        let Some(older) = older.filter(|older| self.usable(older) != Use::OtherVariant) else {
            return self.fresh_entry().await;
        };
        let validators = older.validators(self.terms);
        let can_be_confirmed = !validators.is_empty();
        let requested_at = self.sources.clock.now();
        let (upstreams, asked) = (&self.sources.upstreams, &self.asked);
        let answer = match self.exchange.fetch(upstreams, asked, validators).await {
            Err(error) if self.stands_in(&older) => {
                return Ok(older.in_place_of(status_of(error)));
            }
            answer => answer?,
        };
        if answer.status.is_server_error() && self.stands_in(&older) {
            return Ok(older.in_place_of(answer.status));
        }
        if answer.status != StatusCode::NOT_MODIFIED || !can_be_confirmed {
            return Ok(self.entry_of(answer, requested_at));
        }
        let (said, is_for_one) = (&answer.headers, answer.is_for_its_reader);
        match older.revalidated(asked, self.terms, said, is_for_one, requested_at) {
            Some(confirmed) => Ok(confirmed),
            None => self.fresh_entry().await,
        }
    }

    async fn fresh_entry(&self) -> Result<Entry, UpstreamError> {
        let requested_at = self.sources.clock.now();
        let fetched =
            self.exchange
                .fetch(&self.sources.upstreams, &self.asked, http::HeaderMap::new());
        Ok(self.entry_of(fetched.await?, requested_at))
    }

    fn entry_of(&self, answer: UpstreamAnswer, requested_at: Timestamp) -> Entry {
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        let is_for_one = answer.is_for_its_reader;
        Entry::of_answer(&self.asked, self.terms, response, is_for_one, requested_at)
    }

    fn usable(&self, entry: &Entry) -> Use {
        entry.usable(&self.asked, self.terms, self.sources.clock.now())
    }

    /// Whether it may be had by all who waited for it.
    fn is_for_all(&self, entry: &Entry) -> bool {
        let now = self.sources.clock.now();
        entry.is_shareable_with(&self.asked, self.terms, now) || self.stands_in(entry)
    }

    fn stands_in(&self, entry: &Entry) -> bool {
        entry.stands_in(&self.asked, self.terms, self.sources.clock.now())
    }

    fn came_meanwhile(&self, kept: &cache::Entry) -> bool {
        kept.stored_at >= self.asked_at
    }
}

/// Whether an answer that the upstream was asked for is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// If it may be.
    Now,
    /// By the request that brought it.
    ByAnother,
    Not,
}

impl Looked {
    fn why(&self) -> Why {
        match self.first {
            Some(Use::Stale) => Why::Stale,
            Some(Use::Refused) => Why::Request,
            // What could be used and was not is what came meanwhile, or was just ended.
            None | Some(Use::Fresh | Use::WhileRevalidating | Use::OtherVariant) => self.why_missed,
        }
    }
}

/// The status of a failure to answer at all.
fn status_of(error: UpstreamError) -> StatusCode {
    let status = StatusCode::from_u16(Problem::from(error).code.status());
    status.unwrap_or(StatusCode::BAD_GATEWAY)
}

fn not_cached() -> Problem {
    Problem::new(
        ProblemCode::NotCached,
        "The cache does not have it, and the request wants nothing else.",
    )
}

/// Ends what is kept of an address, after a request that may have changed what is there (RFC 9111,
/// section 4.4): all of the path, whatever the query string.
pub(super) async fn invalidate(cache: &Cache, exchange: &Exchange) {
    let what = Invalidation {
        tags: vec![tag_of_path(exchange)],
        prefix: None,
    };
    if let Err(error) = cache.invalidate(&owner(exchange), &what).await {
        tracing::warn!(
            upstream = exchange.name,
            cause = chain(&error),
            "what was changed may be served from the cache until it is stale"
        );
    }
}

fn owner(exchange: &Exchange) -> CacheOwner {
    if exchange.upstream.shared_cache {
        CacheOwner::Shared
    } else {
        CacheOwner::User(exchange.user)
    }
}

fn key(exchange: &Exchange, selection: Option<&Selection>) -> CacheKey {
    let target = exchange.target.as_str();
    let mut parts = vec![
        exchange.name.as_bytes(),
        exchange.policy_digest().as_bytes(),
        target.as_bytes(),
    ];
    parts.extend(selection.into_iter().flat_map(Selection::parts));
    CacheKey {
        owner: owner(exchange),
        name: CacheName::of(&format!("proxy/{}/{}", exchange.name, exchange.path)),
        tags: vec![CacheTag::of_upstream(&exchange.name), tag_of_path(exchange)],
        digest: digest(FORM, &parts),
    }
}

fn tag_of_path(exchange: &Exchange) -> CacheTag {
    let target = exchange.target.as_str();
    let path = target.split('?').next().unwrap_or_default();
    let digest = digest(b"proxy path", &[exchange.name.as_bytes(), path.as_bytes()]);
    CacheTag::of_target(&digest)
}

/// Every part stands behind its length, so that no two lists of parts read alike.
fn digest(form: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in [form].iter().chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
