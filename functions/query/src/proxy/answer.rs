//! What a client gets: the upstream's answer, under our own terms.
//!
//! Which of the upstream's headers pass at all was decided where the upstream was called.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::header::{AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use turnpike_shared::upstreams::UpstreamAnswer;

use crate::http_cache::{CacheStatus, Entry, as_not_modified, for_one_client, is_not_modified};

/// Whatever an upstream sends, a browser that shows it runs nothing of it, and not in our name.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// By what a client's own cache tells the answers to one user from those to another.
const CREDENTIALS: [HeaderName; 2] = [AUTHORIZATION, HeaderName::from_static("x-api-key")];

/// An answer on its way to the client.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) cache: CacheStatus,
}

impl Answer {
    /// What the upstream answered to this request, and to no other.
    pub(super) fn passed(answer: UpstreamAnswer, cache: CacheStatus) -> Self {
        Self {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
            cache,
        }
    }

    /// What the cache has, or has just got. `age` is how old it is, if it is not this moment's.
    pub(super) fn of_entry(entry: Entry, age: Option<u64>, cache: CacheStatus) -> Self {
        let mut headers = entry.headers;
        if let Some(age) = age {
            headers.insert(AGE, HeaderValue::from(age));
        }
        Self {
            status: entry.status,
            headers,
            body: entry.body,
            cache,
        }
    }

    /// Whether the upstream was not asked on its account.
    pub(super) fn is_from_cache(&self) -> bool {
        match self.cache {
            CacheStatus::Hit { .. } => true,
            CacheStatus::Forwarded(forwarded) => forwarded.is_collapsed,
        }
    }

    /// The same for a client that may have it already.
    #[must_use]
    pub(super) fn unless_known(self, request: &HeaderMap) -> Self {
        if !is_not_modified(request, self.status, &self.headers) {
            return self;
        }
        Self {
            status: StatusCode::NOT_MODIFIED,
            headers: as_not_modified(self.headers),
            body: Bytes::new(),
            cache: self.cache,
        }
    }

    pub(super) fn into_response(self, method: &Method) -> Response {
        let is_bodiless = *method == Method::HEAD && self.body.is_empty();
        let body = if is_bodiless {
            // Of an unknown length: an empty one would be said to be that of a GET.
            Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())
        } else {
            Body::from(self.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        *headers = self.headers;
        match for_one_client(headers) {
            Some(value) => {
                headers.insert(CACHE_CONTROL, value);
                for name in CREDENTIALS {
                    headers.append(VARY, HeaderValue::from(name));
                }
            }
            None => {
                headers.remove(CACHE_CONTROL);
            }
        }
        headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
        self.cache.add_to(headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::HttpBody as _;

    use crate::http_cache::{Forwarded, Why};

    #[test]
    fn nobody_is_told_a_length_that_is_not_known() {
        let answer = |body| Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body,
            cache: CacheStatus::Forwarded(Forwarded::not_kept(Why::Method, StatusCode::OK)),
        };
        let length = |method, body| {
            let response = answer(body).into_response(&method);
            response.body().size_hint().exact()
        };
        let content = Bytes::from_static(b"content");

        assert_eq!(length(Method::HEAD, Bytes::new()), None);
        assert_eq!(length(Method::HEAD, content.clone()), Some(7));
        assert_eq!(length(Method::GET, Bytes::new()), Some(0));
        assert_eq!(length(Method::GET, content), Some(7));
    }
}
