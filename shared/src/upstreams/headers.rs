//! Which headers go to an upstream, and which of its own come back.
//!
//! What belongs to one connection alone passes in neither direction (RFC 9110, section 7.6.1), and
//! what is not listed does not pass at all.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, AGE, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION,
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    EXPIRES, LAST_MODIFIED, LINK, PRAGMA, RETRY_AFTER, SET_COOKIE, USER_AGENT, VARY, WARNING,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::limits::policy::{SecretHeader, UpstreamPolicy};

/// What passes of an answer: what describes its content and how long it may be kept. Nothing that
/// would act in the name of Turnpike's own host: no cookies, no redirects, no policies for browsers.
const PASSED_BACK: [HeaderName; 19] = [
    ACCEPT_RANGES,
    AGE,
    CACHE_CONTROL,
    // What the caches behind this one did; who adds to it keeps what is there (RFC 9211, section 2).
    HeaderName::from_static("cache-status"),
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    // There is one in the answer to a HEAD alone, where nothing else tells it.
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    LINK,
    PRAGMA,
    RETRY_AFTER,
    VARY,
    WARNING,
];

/// What an upstream sees as the client, unless the policy says otherwise.
const OWN_NAME: &str = concat!("turnpike/", env!("CARGO_PKG_VERSION"));

/// The headers of a request to an upstream: of the `callers` those that the policy lists, Turnpike's
/// own, and last the policy's, whose place nobody takes.
pub(super) fn to_upstream(
    policy: &UpstreamPolicy,
    callers: &HeaderMap,
    own: &HeaderMap,
    secret: Option<(&SecretHeader, HeaderValue)>,
) -> HeaderMap {
    let mut sent = HeaderMap::new();
    sent.insert(USER_AGENT, HeaderValue::from_static(OWN_NAME));
    let of_connection = named_in_connection(callers);
    for name in &policy.forward_headers {
        if of_connection.contains(name) {
            continue;
        }
        let values = callers.get_all(name).into_iter().cloned();
        put(&mut sent, name, values);
    }
    for name in own.keys() {
        put(&mut sent, name, own.get_all(name).into_iter().cloned());
    }
    for (name, value) in &policy.headers {
        sent.insert(name, value.clone());
    }
    // Nothing is decoded here, so what comes back has the size that was looked at.
    sent.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((header, value)) = secret {
        sent.insert(&header.name, value);
    }
    sent
}

/// Puts all values of a header in the place of those that are there; none leave it as it is.
fn put(headers: &mut HeaderMap, name: &HeaderName, values: impl Iterator<Item = HeaderValue>) {
    for (index, value) in values.enumerate() {
        if index == 0 {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
}

/// What passes of an upstream's headers.
pub(super) fn from_upstream(answered: &HeaderMap) -> HeaderMap {
    let of_connection = named_in_connection(answered);
    let mut passed = HeaderMap::new();
    for name in PASSED_BACK
        .iter()
        .filter(|name| !of_connection.contains(name))
    {
        put(
            &mut passed,
            name,
            answered.get_all(name).into_iter().cloned(),
        );
    }
    passed
}

/// Whether an answer gives its reader a cookie, so that it is for that reader alone.
pub(super) fn sets_cookies(answered: &HeaderMap) -> bool {
    answered.contains_key(SET_COOKIE)
}

/// The headers that a message declares to be for this connection alone.
fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = headers.get_all(CONNECTION).into_iter();
    let texts = named.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::policy::Policy;

    fn policy(fields: &str) -> std::sync::Arc<UpstreamPolicy> {
        let toml = format!(
            "version = 1\n[tiers.anonymous]\n[tiers.free]\n[upstreams.a]\n\
             base_url = \"http://a.example\"\n{fields}"
        );
        let policy = Policy::parse(&toml).unwrap();
        std::sync::Arc::new(policy.upstream("a").unwrap().clone())
    }

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn of_a_callers_headers_only_the_listed_ones_pass() {
        let callers = map(&[
            ("accept", "text/html"),
            ("accept", "text/plain"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-other", "1"),
            ("accept-encoding", "gzip"),
        ]);

        let sent = to_upstream(&policy(""), &callers, &HeaderMap::new(), None);

        let names: Vec<&str> = sent.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["user-agent", "accept", "accept-encoding"]);
        assert_eq!(sent.get_all("accept").iter().count(), 2);
        assert_eq!(sent["accept-encoding"], "identity");
    }

    #[test]
    fn what_connection_names_passes_in_neither_direction() {
        let callers = map(&[
            ("accept", "text/html"),
            ("accept-language", "en"),
            ("connection", "close, Accept-Language"),
        ]);
        let answered = map(&[
            ("connection", "etag"),
            ("etag", "\"1\""),
            ("content-type", "text/html"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "a=b"),
            ("location", "http://internal.example/"),
            ("access-control-allow-origin", "*"),
            ("strict-transport-security", "max-age=0"),
            ("www-authenticate", "Basic"),
        ]);

        let sent = to_upstream(&policy(""), &callers, &HeaderMap::new(), None);
        let passed = from_upstream(&answered);

        assert!(sent.contains_key("accept") && !sent.contains_key("accept-language"));
        assert_eq!(passed, map(&[("content-type", "text/html")]));
        assert!(sets_cookies(&answered));
    }

    #[test]
    fn nobody_takes_the_place_of_the_policys_headers() {
        let policy = policy("headers = { \"X-Client\" = \"turnpike\" }");
        let own = map(&[("x-client", "own"), ("content-type", "application/json")]);
        let callers = map(&[("content-type", "text/plain")]);

        let sent = to_upstream(&policy, &callers, &own, None);

        assert_eq!(sent["x-client"], "turnpike");
        assert_eq!(sent["content-type"], "application/json");
    }
}
