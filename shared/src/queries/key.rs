//! What makes two queries the same: everything that the answer can depend on.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use crate::ids::UserId;
use crate::limits::policy::UpstreamPolicy;

/// Distinguishes keys of this form from those of any other.
const FORM: &[u8] = b"query 1";

/// What is asked of an upstream.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    pub upstream: String,
    pub text: String,
    /// In the order of their names, so that two orders are one query.
    params: BTreeMap<String, Value>,
}

impl Query {
    pub fn new(upstream: String, text: String, params: Map<String, Value>) -> Self {
        Self {
            upstream,
            text,
            params: params.into_iter().collect(),
        }
    }

    pub fn params(&self) -> Map<String, Value> {
        let params = self.params.iter();
        params
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Of a caller's headers, those that a query is put to its upstream with: what the policy forwards,
/// without what speaks of this exchange and not of the query: the form, the length and the
/// conditions of bodies.
pub(super) fn headers_for(upstream: &UpstreamPolicy, sent: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in &upstream.forward_headers {
        if !is_of_this_exchange(name) {
            for value in sent.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
    headers
}

fn is_of_this_exchange(name: &HeaderName) -> bool {
    let name = name.as_str();
    ["accept", "accept-charset", "accept-encoding", "range"].contains(&name)
        || name.starts_with("content-")
        || name.starts_with("if-")
}

/// What the answer to a query depends on, besides the query's user.
pub(super) struct Dependencies<'a> {
    pub(super) upstream: &'a str,
    /// The policy that the upstream is declared in, by its digest.
    pub(super) policy: &'a str,
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) body: &'a [u8],
    pub(super) headers: &'a HeaderMap,
    /// Whose answer it is; nobody's own, where users share.
    pub(super) owner: Option<UserId>,
}

impl Dependencies<'_> {
    /// Their digest. Every part stands behind its length, so that no two sets of parts read alike.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        };
        let owner = self.owner.map(|user| user.to_string());
        add(FORM);
        for text in [self.upstream, self.policy, self.method, self.target] {
            add(text.as_bytes());
        }
        add(self.body);
        add(owner.unwrap_or_default().as_bytes());
        let mut headers: Vec<_> = self.headers.iter().collect();
        // Values of one name keep their order, which may mean something.
        headers.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in headers {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::limits::policy::Policy;
    use http::HeaderValue;
    use serde_json::json;

    fn params(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_order_of_parameters_makes_no_other_query() {
        let of = |value| Query::new("library".into(), "whales".into(), params(value));

        let one = of(json!({"a": 1, "b": [2, 3]}));

        assert_eq!(one, of(json!({"b": [2, 3], "a": 1})));
        assert_ne!(one, of(json!({"a": 1, "b": [3, 2]})));
        let names: Vec<String> = one.params().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn everything_that_an_answer_depends_on_makes_another_key() {
        let user = UserId::new(Timestamp::from_millis(1));
        let mut french = HeaderMap::new();
        french.insert("accept-language", HeaderValue::from_static("fr"));
        let none = HeaderMap::new();
        let one = || Dependencies {
            upstream: "library",
            policy: "a1",
            method: "GET",
            target: "/search?q=whales",
            body: b"",
            headers: &none,
            owner: None,
        };

        let others = [
            Dependencies {
                upstream: "libraryb",
                ..one()
            },
            Dependencies {
                policy: "a2",
                ..one()
            },
            Dependencies {
                method: "POST",
                ..one()
            },
            Dependencies {
                target: "/search?q=whale",
                ..one()
            },
            Dependencies {
                body: b"{}",
                ..one()
            },
            Dependencies {
                headers: &french,
                ..one()
            },
            Dependencies {
                owner: Some(user),
                ..one()
            },
            // The same bytes, cut elsewhere.
            Dependencies {
                upstream: "librarya",
                policy: "1",
                ..one()
            },
        ];

        assert_eq!(one().digest(), one().digest());
        for other in others {
            assert_ne!(one().digest(), other.digest(), "{}", other.target);
        }
    }

    #[test]
    fn what_speaks_of_this_exchange_is_not_put_to_the_upstream() {
        let policy = Policy::parse(
            "version = 1\n[tiers.anonymous]\nhour = 1\n[tiers.free]\nhour = 1\n\
             [upstreams.library]\nbase_url = \"http://127.0.0.1:1\"\n",
        );
        let policy = policy.unwrap();
        let sent = [
            ("accept", "*/*"),
            ("accept-language", "fr"),
            ("content-type", "application/json"),
            ("if-none-match", "\"1\""),
            ("x-other", "1"),
        ];
        let sent = sent.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });

        let headers = headers_for(
            policy.upstream("library").unwrap(),
            &sent.into_iter().collect(),
        );

        assert_eq!(headers.len(), 1);
        assert_eq!(headers["accept-language"], "fr");
    }
}
