//! Whether an answer may be kept (RFC 9111, section 3), and whether one that is kept may be given to
//! somebody (section 4).

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG,
    EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};
use turnpike_shared::clock::Timestamp;

use super::{Directives, Entry, Selection};

/// The longest time that anything is kept: what the slowest tier of the cache holds it for.
const MAX_KEPT: Duration = Duration::from_hours(24);

/// Headers of a 304 that say nothing of the content that is kept (RFC 9111, section 3.2).
const NOT_UPDATED: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE];

/// What an upstream's entries are kept on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// Whether users share them: then the cache is a shared one in the sense of the RFC, and a
    /// private one otherwise.
    pub(crate) is_shared: bool,
    /// Whether the upstream is asked with `Authorization` (RFC 9111, section 3.5).
    pub(crate) is_authorized: bool,
    /// Whether clients may have answers fetched anew that the upstream calls fresh.
    pub(crate) may_refresh: bool,
}

/// A request that may be answered from the cache.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Those of its headers that the upstream gets to see.
    headers: HeaderMap,
    directives: Directives,
}

/// What somebody may do with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// Have it.
    Fresh,
    /// Have it, while it is asked for anew.
    WhileRevalidating,
    /// It is over.
    Stale,
    /// It is fresh, and the client does not want it.
    Refused,
    /// It is for other values of what `Vary` names.
    OtherVariant,
}

impl Asked {
    /// `seen` are those of the request's headers that the upstream gets to see. Who may not have
    /// answers fetched anew is not heard where they ask for it: what a request says of caching is
    /// advice (RFC 9111, section 5.2.1).
    pub(crate) fn new(request: &HeaderMap, seen: HeaderMap, terms: Terms) -> Self {
        let directives = Directives::of_request(request);
        let directives = if terms.may_refresh {
            directives
        } else {
            directives.without(&["max-age", "min-fresh", "no-cache"])
        };
        Self {
            headers: seen,
            directives,
        }
    }

    /// Nothing of the exchange is to be kept.
    pub(crate) fn forbids_storing(&self) -> bool {
        self.directives.has("no-store")
    }

    /// Only what is there is wanted.
    pub(crate) fn wants_cached_only(&self) -> bool {
        self.directives.has("only-if-cached")
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Entry {
    /// An answer as it came.
    pub(crate) fn of_answer(
        asked: &Asked,
        terms: Terms,
        answer: Response<Bytes>,
        is_for_one: bool,
        requested_at: Timestamp,
    ) -> Self {
        let (parts, body) = answer.into_parts();
        let selection = Selection::of(&parts.headers, &asked.headers);
        let can_be_selected = selection.is_some();
        let mut entry = Self {
            status: parts.status,
            headers: parts.headers,
            body,
            selecting: selection.map_or_else(HeaderMap::new, |by| by.values().clone()),
            requested_at,
            is_reusable: false,
            upstream_status: parts.status,
        };
        // A failure is nobody's answer but of whoever met it, even one that calls itself cacheable.
        entry.is_reusable = can_be_selected
            && !is_for_one
            && !asked.forbids_storing()
            && !entry.status.is_server_error()
            && entry.policy(terms).is_storable();
        entry
    }

    /// The entry after the upstream has said, to a request of `requested_at`, that it still holds;
    /// `None` if what it said is of another answer (RFC 9111, sections 4.3.3 and 4.3.4).
    pub(crate) fn revalidated(
        &self,
        asked: &Asked,
        terms: Terms,
        said: &HeaderMap,
        is_for_one: bool,
        requested_at: Timestamp,
    ) -> Option<Self> {
        if !self.is_meant_by(terms, said) {
            return None;
        }
        let mut headers = self.headers.clone();
        // How old the answer was when it came says nothing of how old the new word on it is.
        headers.remove(AGE);
        for name in said.keys().filter(|name| !NOT_UPDATED.contains(name)) {
            headers.remove(name);
            for value in said.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        let mut answer = Response::new(self.body.clone());
        *answer.status_mut() = self.status;
        *answer.headers_mut() = headers;
        Some(Self {
            upstream_status: StatusCode::NOT_MODIFIED,
            ..Self::of_answer(asked, terms, answer, is_for_one, requested_at)
        })
    }

    /// What the upstream is to compare with what it has; empty if that cannot be asked.
    pub(crate) fn validators(&self, terms: Terms) -> HeaderMap {
        let asked = self.request(None);
        let at = system_time(self.requested_at);
        let BeforeRequest::Stale { request, .. } =
            self.policy(terms).before_request(&no_cache(asked), at)
        else {
            return HeaderMap::new();
        };
        let conditions = [IF_NONE_MATCH, IF_MODIFIED_SINCE].into_iter();
        conditions
            .filter_map(|name| Some((name.clone(), request.headers.get(&name)?.clone())))
            .collect()
    }

    /// What somebody who asks may do with it.
    pub(crate) fn usable(&self, asked: &Asked, terms: Terms, now: Timestamp) -> Use {
        if !self.is_selected_by(asked) {
            return Use::OtherVariant;
        }
        if !self.is_reusable {
            return Use::Stale;
        }
        let may_be_stale = self.may_be_stale(terms);
        let said = if may_be_stale {
            asked.directives.clone()
        } else {
            asked.directives.clone().without(&["max-stale"])
        };
        if self.satisfies(&said, terms, now) {
            return Use::Fresh;
        }
        if self.is_fresh(terms, now) {
            return Use::Refused;
        }
        let demands = ["max-age", "min-fresh", "no-cache"];
        let demands_more = demands.iter().any(|name| said.has(name));
        if !demands_more && self.is_within("stale-while-revalidate", terms, now) {
            Use::WhileRevalidating
        } else {
            Use::Stale
        }
    }

    /// Whether somebody may have it who asked while it was being fetched for another.
    pub(crate) fn is_shareable_with(&self, asked: &Asked, terms: Terms, now: Timestamp) -> bool {
        self.is_selected_by(asked) && self.is_reusable && self.is_fresh(terms, now)
    }

    /// Whether it may stand in for an upstream that fails (RFC 5861, section 4).
    pub(crate) fn stands_in(&self, asked: &Asked, terms: Terms, now: Timestamp) -> bool {
        let is_wanted = !asked.directives.has("no-cache");
        is_wanted
            && self.is_selected_by(asked)
            && self.is_reusable
            && self.is_within("stale-if-error", terms, now)
    }

    /// Itself, in the place of a failure with this status.
    pub(crate) fn in_place_of(self, failure: StatusCode) -> Self {
        Self {
            upstream_status: failure,
            ..self
        }
    }

    /// How long it stays fresh, and how long it is of use after that.
    pub(crate) fn lifetime(&self, terms: Terms, now: Timestamp) -> (Duration, Duration) {
        if !self.is_reusable {
            return (Duration::ZERO, Duration::ZERO);
        }
        let fresh = self
            .policy(terms)
            .time_to_live(system_time(now))
            .min(MAX_KEPT);
        let can_be_validated =
            self.headers.contains_key(ETAG) || self.headers.contains_key(LAST_MODIFIED);
        let stale = if can_be_validated {
            MAX_KEPT
        } else if self.may_be_stale(terms) {
            let extensions = ["stale-while-revalidate", "stale-if-error"];
            let said = Directives::of(&self.headers);
            let seconds = extensions.iter().filter_map(|name| said.seconds(name));
            Duration::from_secs(seconds.max().unwrap_or(0).into())
        } else {
            Duration::ZERO
        };
        (fresh, stale.min(MAX_KEPT.saturating_sub(fresh)))
    }

    /// Seconds since the upstream made it or last confirmed it (RFC 9111, section 4.2.3).
    pub(crate) fn age(&self, terms: Terms, now: Timestamp) -> u64 {
        self.policy(terms).age(system_time(now)).as_secs()
    }

    /// Seconds for which it stays fresh; less than none when it is stale.
    pub(crate) fn ttl(&self, terms: Terms, now: Timestamp) -> i64 {
        let lifetime = i64::try_from(self.freshness_lifetime(terms).as_secs());
        let age = i64::try_from(self.age(terms, now));
        lifetime
            .unwrap_or(i64::MAX)
            .saturating_sub(age.unwrap_or(i64::MAX))
    }

    /// What it was chosen by, for another request.
    pub(crate) fn selection(&self, asked: &Asked) -> Option<Selection> {
        Selection::of(&self.headers, &asked.headers)
    }

    fn is_selected_by(&self, asked: &Asked) -> bool {
        let selection = self.selection(asked);
        selection.is_some_and(|by| *by.values() == self.selecting)
    }

    fn is_fresh(&self, terms: Terms, now: Timestamp) -> bool {
        self.satisfies(&Directives::default(), terms, now)
    }

    fn satisfies(&self, said: &Directives, terms: Terms, now: Timestamp) -> bool {
        let request = self.request(said.as_header());
        let answer = self
            .policy(terms)
            .before_request(&request, system_time(now));
        matches!(answer, BeforeRequest::Fresh(_))
    }

    /// Whether anything may have it stale at all (RFC 9111, section 4.2.4).
    fn may_be_stale(&self, terms: Terms) -> bool {
        let said = Directives::of(&self.headers);
        let forbids = |names: &[&str]| names.iter().any(|name| said.has(name));
        let is_forbidden = forbids(&["must-revalidate", "no-cache"])
            || (terms.is_shared && forbids(&["proxy-revalidate", "s-maxage"]));
        !is_forbidden
    }

    /// Whether it has been stale for no longer than a directive of its own allows.
    fn is_within(&self, directive: &str, terms: Terms, now: Timestamp) -> bool {
        let allowed = Directives::of(&self.headers).seconds(directive);
        let allowed = Duration::from_secs(allowed.unwrap_or(0).into());
        let age = self.policy(terms).age(system_time(now));
        self.may_be_stale(terms) && age < self.freshness_lifetime(terms) + allowed
    }

    fn freshness_lifetime(&self, terms: Terms) -> Duration {
        let mut newborn = self.clone();
        newborn.headers.remove(AGE);
        let at = system_time(self.requested_at);
        newborn.policy(terms).time_to_live(at)
    }

    /// Whether a 304 is of this answer. One that names no validator answers the one that was asked
    /// with.
    fn is_meant_by(&self, terms: Terms, said: &HeaderMap) -> bool {
        let names_none = !said.contains_key(ETAG) && !said.contains_key(LAST_MODIFIED);
        if names_none {
            return true;
        }
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        *answer.headers_mut() = legible(said);
        let at = system_time(self.requested_at);
        let compared = self
            .policy(terms)
            .after_response(&self.request(None), &answer, at);
        matches!(compared, AfterResponse::NotModified(..))
    }

    fn policy(&self, terms: Terms) -> CachePolicy {
        let mut request = self.request(None);
        if terms.is_authorized {
            let some = HeaderValue::from_static("some");
            request.headers_mut().insert(AUTHORIZATION, some);
        }
        let mut answer = Response::new(());
        *answer.status_mut() = self.status;
        *answer.headers_mut() = legible(&self.headers);
        let options = CacheOptions {
            shared: terms.is_shared,
            // `immutable` says nothing of how long an answer is fresh (RFC 8246, section 2).
            immutable_min_time_to_live: Duration::ZERO,
            ..CacheOptions::default()
        };
        CachePolicy::new_options(&request, &answer, system_time(self.requested_at), options)
    }

    /// A request that selects this entry. The address is the same for all: an entry is found by it.
    fn request(&self, cache_control: Option<HeaderValue>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.headers_mut() = self.selecting.clone();
        request.headers_mut().remove(CACHE_CONTROL);
        if let Some(value) = cache_control {
            request.headers_mut().insert(CACHE_CONTROL, value);
        }
        request
    }
}

/// A request that has to be validated, whatever it would be answered with.
fn no_cache(mut request: Request<()>) -> Request<()> {
    let value = HeaderValue::from_static("no-cache");
    request.headers_mut().insert(CACHE_CONTROL, value);
    request
}

/// Headers of an answer in the one form that their reader knows: directives in small letters, times
/// in the preferred of their three forms (RFC 9110, section 5.6.7), no number that overflows. What
/// cannot be read is left out, except that an `Expires` that is no time is over.
fn legible(headers: &HeaderMap) -> HeaderMap {
    let mut legible = headers.clone();
    legible.remove(CACHE_CONTROL);
    if let Some(value) = Directives::of(headers).as_header() {
        legible.insert(CACHE_CONTROL, value);
    }
    for name in [DATE, LAST_MODIFIED, EXPIRES] {
        let Some(value) = legible.remove(&name) else {
            continue;
        };
        let time = value.to_str().ok();
        let time = time.and_then(|text| httpdate::parse_http_date(text.trim()).ok());
        let value = time.map(httpdate::fmt_http_date);
        let value = value.or_else(|| (name == EXPIRES).then(|| "0".to_owned()));
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            legible.insert(name, value);
        }
    }
    if let Some(value) = legible.remove(AGE) {
        let text = value.to_str().unwrap_or_default().trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            // RFC 9111, section 1.2.2.
            let age = text.parse::<u32>().unwrap_or(u32::MAX).min(1 << 31);
            legible.insert(AGE, HeaderValue::from(age));
        }
    }
    legible
}

fn system_time(at: Timestamp) -> SystemTime {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[cfg(test)]
mod tests;
