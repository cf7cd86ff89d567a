//! One request to an upstream, as its policy allows it, and how the upstream is asked.

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ALLOW, AUTHORIZATION, CONNECTION, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use tokio::time::Instant;
use turnpike_shared::auth::Tier;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::UserId;
use turnpike_shared::limits::policy::{Policy, UpstreamPolicy};
use turnpike_shared::queries::{NotOffered, upstream_for};
use turnpike_shared::upstreams::{
    InvalidTarget, Target, UpstreamAnswer, UpstreamError, UpstreamRequest, Upstreams,
};

use crate::http_cache::{Asked, Terms};

/// What stands ahead of an upstream's name.
const PREFIX: &str = "/api/v1/proxy/";

/// What only the upstream can judge: parts of an answer, and states that a change is made from.
const FOR_THE_UPSTREAM_ALONE: [HeaderName; 4] = [IF_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE];

/// The upstream and the path that an address names, as they were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address<'a> {
    pub(super) upstream: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Address<'a> {
    pub(super) fn of(uri: &'a Uri) -> Self {
        let rest = uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let (upstream, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            upstream,
            path,
            query: uri.query(),
        }
    }
}

/// A request that its upstream can be asked.
#[derive(Clone)]
pub(super) struct Exchange {
    policy: Arc<Policy>,
    pub(super) upstream: Arc<UpstreamPolicy>,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) target: Target,
    pub(super) method: Method,
    /// All of the client's headers; what the upstream sees of them is [`Self::seen`].
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) user: UserId,
    deadline: Instant,
}

/// Who asks, and until when.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) user: UserId,
    pub(super) tier: Tier,
    pub(super) deadline: Instant,
}

/// Why an upstream is not asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    NotOffered(NotOffered),
    /// The policy allows these methods, and not this one.
    Method(Vec<Method>),
    Target(InvalidTarget),
}

impl Exchange {
    /// The request, without its body, if the policy allows it.
    pub(super) fn allowed<B>(
        policy: &Arc<Policy>,
        request: &Request<B>,
        asker: &Asker,
    ) -> Result<Self, Refusal> {
        let (address, method) = (Address::of(request.uri()), request.method());
        let offered = upstream_for(policy, address.upstream, &asker.tier);
        let upstream = offered.map_err(Refusal::NotOffered)?;
        if !upstream.proxy {
            return Err(Refusal::NotOffered(NotOffered::Unknown));
        }
        if !upstream.methods.contains(method) {
            return Err(Refusal::Method(upstream.methods.clone()));
        }
        let target = Target::of_path(upstream, address.path, address.query);
        Ok(Self {
            policy: Arc::clone(policy),
            upstream: Arc::new(upstream.clone()),
            name: address.upstream.to_owned(),
            path: address.path.to_owned(),
            target: target.map_err(Refusal::Target)?,
            method: method.clone(),
            headers: request.headers().clone(),
            body: Bytes::new(),
            user: asker.user,
            deadline: asker.deadline,
        })
    }

    #[must_use]
    pub(super) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    pub(super) fn policy_digest(&self) -> &str {
        self.policy.digest()
    }

    /// On which terms its answers are kept.
    pub(super) fn terms(&self) -> Terms {
        let secret = self.upstream.secret_header.as_ref();
        Terms {
            is_shared: self.upstream.shared_cache,
            is_authorized: secret.is_some_and(|secret| secret.name == AUTHORIZATION),
            may_refresh: !self.upstream.shared_cache || self.upstream.allow_refresh,
        }
    }

    /// Whether the cache may answer it, or learn from its answer: a plain question for the whole of
    /// something.
    pub(super) fn is_cacheable(&self) -> bool {
        let seen = self.seen();
        let is_plain = !FOR_THE_UPSTREAM_ALONE
            .iter()
            .any(|name| seen.contains_key(name));
        [Method::GET, Method::HEAD].contains(&self.method) && self.body.is_empty() && is_plain
    }

    /// What the cache is asked. The client's own conditions are not the upstream's to answer then:
    /// whoever else asks is to get the whole answer.
    pub(super) fn asked(&self) -> Asked {
        let mut seen = self.seen();
        seen.remove(IF_NONE_MATCH);
        seen.remove(IF_MODIFIED_SINCE);
        Asked::new(&self.headers, seen, self.terms())
    }

    /// Asks the upstream what the client asks.
    pub(super) async fn pass(
        &self,
        upstreams: &Upstreams,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        self.call(upstreams, self.headers.clone(), HeaderMap::new())
            .await
    }

    /// Asks the upstream for the cache, which knows `validators` of what it has.
    pub(super) async fn fetch(
        &self,
        upstreams: &Upstreams,
        asked: &Asked,
        validators: HeaderMap,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        self.call(upstreams, asked.headers().clone(), validators)
            .await
    }

    async fn call(
        &self,
        upstreams: &Upstreams,
        headers: HeaderMap,
        own_headers: HeaderMap,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let request = UpstreamRequest {
            method: self.method.clone(),
            target: self.target.clone(),
            headers,
            own_headers,
            body: self.body.clone(),
        };
        let call = upstreams.call(&self.name, &self.upstream, request, self.deadline);
        Box::pin(call).await
    }

    /// Those of the client's headers that the upstream gets to see.
    fn seen(&self) -> HeaderMap {
        let of_connection = self.headers.get_all(CONNECTION).iter();
        let of_connection = of_connection.filter_map(|value| value.to_str().ok());
        let of_connection: Vec<&str> = of_connection
            .flat_map(|names| names.split(',').map(str::trim))
            .collect();
        let is_of_connection = |name: &HeaderName| {
            let mut names = of_connection.iter();
            names.any(|other| name.as_str().eq_ignore_ascii_case(other))
        };
        let mut seen = HeaderMap::new();
        let passed = self.upstream.forward_headers.iter();
        for name in passed.filter(|name| !is_of_connection(name)) {
            for value in self.headers.get_all(name) {
                seen.append(name, value.clone());
            }
        }
        seen
    }
}

impl Refusal {
    pub(super) fn into_response(self) -> Response {
        let allowed = match self {
            Self::NotOffered(reason) => return Problem::from(reason).into_response(),
            Self::Target(invalid) => return Problem::from(invalid).into_response(),
            Self::Method(allowed) => allowed,
        };
        let problem = Problem::new(
            ProblemCode::MethodNotAllowed,
            "The upstream is not to be asked with this method; see Allow.",
        );
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let mut response = problem.into_response();
        if let Ok(value) = HeaderValue::try_from(names.join(", ")) {
            response.headers_mut().insert(ALLOW, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turnpike_shared::clock::Timestamp;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let cases = [
            ("/api/v1/proxy/library", ("library", "", None)),
            ("/api/v1/proxy/library/", ("library", "", None)),
            (
                "/api/v1/proxy/library/a//b%2F..?q=%20&x",
                ("library", "a//b%2F..", Some("q=%20&x")),
            ),
            ("/api/v1/proxy/li%62rary/?", ("li%62rary", "", Some(""))),
        ];

        for (written, expected) in cases {
            let uri: Uri = written.parse().unwrap();
            let Address {
                upstream,
                path,
                query,
            } = Address::of(&uri);
            assert_eq!((upstream, path, query), expected, "{written}");
        }
    }

    fn policy() -> Arc<Policy> {
        let text = "version = 1\n[tiers.anonymous]\n[tiers.free]\n\
            [upstreams.open]\nbase_url = \"http://127.0.0.1:1/base\"\nproxy = true\n\
            methods = [\"GET\", \"PUT\"]\npaths = [\"/books\"]\n\
            forward_headers = [\"accept\", \"range\", \"if-none-match\"]\n\
            [upstreams.closed]\nbase_url = \"http://127.0.0.1:1\"\n\
            [upstreams.dear]\nbase_url = \"http://127.0.0.1:1\"\nproxy = true\n\
            requires_feature = \"ai_summarization\"\n";
        Arc::new(Policy::parse(text).unwrap())
    }

    fn exchange(method: Method, upstream: &str, path: &str) -> Result<Exchange, Refusal> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{PREFIX}{upstream}/{path}").parse().unwrap();
        let asker = Asker {
            user: UserId::new(Timestamp::from_millis(1)),
            tier: Tier::free(),
            deadline: Instant::now(),
        };
        Exchange::allowed(&policy(), &request, &asker)
    }

    fn refusal(method: Method, upstream: &str, path: &str) -> Refusal {
        exchange(method, upstream, path).err().unwrap()
    }

    #[test]
    fn an_upstream_is_asked_only_what_the_policy_allows() {
        let unknown = Refusal::NotOffered(NotOffered::Unknown);
        let feature = NotOffered::Feature("ai_summarization".to_owned());

        assert!(exchange(Method::GET, "open", "books/1").is_ok());
        assert_eq!(refusal(Method::GET, "other", ""), unknown);
        assert_eq!(refusal(Method::GET, "closed", ""), unknown);
        assert_eq!(
            refusal(Method::GET, "dear", ""),
            Refusal::NotOffered(feature)
        );
        let allowed = Refusal::Method(vec![Method::GET, Method::PUT]);
        assert_eq!(refusal(Method::POST, "open", "books"), allowed);
        let outside = refusal(Method::GET, "open", "films");
        assert_eq!(outside, Refusal::Target(InvalidTarget::OutOfReach));
    }

    #[test]
    fn the_cache_has_a_part_in_plain_questions_alone() {
        let with = |method, name: Option<&'static str>| {
            let mut exchange = exchange(method, "open", "books").unwrap();
            if let Some(name) = name {
                let value = HeaderValue::from_static("x");
                exchange.headers.insert(name, value);
            }
            exchange
        };

        assert!(with(Method::GET, None).is_cacheable());
        assert!(with(Method::GET, Some("if-none-match")).is_cacheable());
        assert!(!with(Method::GET, Some("range")).is_cacheable());
        // It is not passed on, so nobody answers it.
        assert!(with(Method::GET, Some("if-match")).is_cacheable());
        assert!(!with(Method::PUT, None).is_cacheable());
        let with_body = with(Method::GET, None).with_body(Bytes::from_static(b"x"));
        assert!(!with_body.is_cacheable());
    }

    #[test]
    fn what_connection_names_is_not_seen_by_the_upstream() {
        let mut exchange = exchange(Method::GET, "open", "books").unwrap();
        for (name, value) in [
            ("accept", "a/b"),
            ("range", "x"),
            ("connection", "close, Range"),
        ] {
            let value = HeaderValue::from_static(value);
            exchange.headers.append(name, value);
        }

        let seen = exchange.seen();

        assert_eq!(seen.len(), 1);
        assert_eq!(seen["accept"], "a/b");
    }
}
