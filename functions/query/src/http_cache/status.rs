//! What an answer says of its way through the cache: `Cache-Status` (RFC 9211).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sfv::{KeyRef, List, ListSerializer, Parser, TokenRef, key_ref, token_ref};

/// The header.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How a request was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CacheStatus {
    /// From the cache, without a word to the upstream.
    Hit {
        /// Seconds for which it stays fresh, less than none if it is stale.
        ttl: i64,
        /// Which part of the cache it lay in.
        detail: Option<&'static str>,
    },
    /// By the upstream.
    Forwarded(Forwarded),
}

/// A request that the upstream was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Forwarded {
    pub(crate) why: Why,
    /// What the upstream answered.
    pub(crate) status: StatusCode,
    /// Seconds for which the answer is fresh, if it is kept.
    pub(crate) stored_for: Option<i64>,
    /// Whether the upstream was asked by another request, whose answer this one shares.
    pub(crate) is_collapsed: bool,
}

/// Why the upstream was asked (RFC 9211, section 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// The cache has no part in such requests.
    Bypass,
    /// Nor in such methods.
    Method,
    /// There is nothing of this address.
    UriMiss,
    /// There is, but for other values of what `Vary` names.
    VaryMiss,
    /// There is something fresh, which the client did not want.
    Request,
    Stale,
}

impl Why {
    fn token(self) -> &'static TokenRef {
        match self {
            Self::Bypass => token_ref("bypass"),
            Self::Method => token_ref("method"),
            Self::UriMiss => token_ref("uri-miss"),
            Self::VaryMiss => token_ref("vary-miss"),
            Self::Request => token_ref("request"),
            Self::Stale => token_ref("stale"),
        }
    }
}

impl CacheStatus {
    /// Adds this cache's member to those of the caches behind it, whose place is in front (RFC 9211,
    /// section 2). What is no list is not passed on.
    pub(crate) fn add_to(self, headers: &mut HeaderMap) {
        let behind = headers.remove_all(&CACHE_STATUS);
        let behind = Parser::new(&behind).parse::<List>().ok();
        let behind = behind.and_then(|behind| {
            let mut list = ListSerializer::new();
            list.members(&behind);
            list.finish()
        });
        let members: Vec<String> = behind.into_iter().chain(self.member()).collect();
        if let Ok(value) = HeaderValue::try_from(members.join(", ")) {
            headers.insert(CACHE_STATUS, value);
        }
    }

    /// This cache's member. Its parameters are set apart as in the RFC's own examples; no value of
    /// them is a string.
    fn member(self) -> Option<String> {
        let mut list = ListSerializer::new();
        let mut member = list.bare_item(token_ref("turnpike"));
        match self {
            Self::Hit { ttl, detail } => {
                member = member.parameter(key_ref("hit"), true);
                member = with_seconds(member, key_ref("ttl"), ttl);
                if let Some(detail) = detail.and_then(|detail| TokenRef::from_str(detail).ok()) {
                    member.parameter(key_ref("detail"), detail);
                }
            }
            Self::Forwarded(forwarded) => forwarded.add_to(member),
        }
        list.finish().map(|text| text.replace(';', "; "))
    }
}

impl Forwarded {
    pub(crate) fn not_kept(why: Why, status: StatusCode) -> Self {
        Self {
            why,
            status,
            stored_for: None,
            is_collapsed: false,
        }
    }
}

type Member<'a> = sfv::ParameterSerializer<&'a mut String>;

impl Forwarded {
    fn add_to(self, member: Member<'_>) {
        let mut member = member.parameter(key_ref("fwd"), self.why.token());
        let status = i64::from(self.status.as_u16());
        member = with_seconds(member, key_ref("fwd-status"), status);
        if let Some(ttl) = self.stored_for {
            member = member.parameter(key_ref("stored"), true);
            member = with_seconds(member, key_ref("ttl"), ttl);
        }
        if self.is_collapsed {
            member.parameter(key_ref("collapsed"), true);
        }
    }
}

fn with_seconds<'a>(member: Member<'a>, key: &KeyRef, value: i64) -> Member<'a> {
    match sfv::Integer::try_from(value) {
        Ok(value) => member.parameter(key, value),
        Err(_) => member,
    }
}

trait RemoveAll {
    /// All lines of a header as one; they are gone from there.
    fn remove_all(&mut self, name: &HeaderName) -> Vec<u8>;
}

impl RemoveAll for HeaderMap {
    fn remove_all(&mut self, name: &HeaderName) -> Vec<u8> {
        let joined = super::variants::joined(self, name);
        self.remove(name);
        joined.map_or_else(Vec::new, |value| value.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: CacheStatus, behind: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in behind {
            headers.append(CACHE_STATUS, HeaderValue::from_static(value));
        }
        status.add_to(&mut headers);
        assert_eq!(headers.get_all(CACHE_STATUS).iter().count(), 1);
        headers[CACHE_STATUS].to_str().unwrap().to_owned()
    }

    const HIT: CacheStatus = CacheStatus::Hit {
        ttl: 30,
        detail: None,
    };

    #[test]
    fn each_way_through_the_cache_has_its_member() {
        let forwarded = Forwarded::not_kept(Why::UriMiss, StatusCode::OK);
        let cases = [
            (HIT, "turnpike; hit; ttl=30"),
            (
                CacheStatus::Hit {
                    ttl: -3,
                    detail: Some("memory"),
                },
                "turnpike; hit; ttl=-3; detail=memory",
            ),
            (
                CacheStatus::Forwarded(forwarded),
                "turnpike; fwd=uri-miss; fwd-status=200",
            ),
            (
                CacheStatus::Forwarded(Forwarded {
                    why: Why::Stale,
                    status: StatusCode::NOT_MODIFIED,
                    stored_for: Some(60),
                    is_collapsed: true,
                }),
                "turnpike; fwd=stale; fwd-status=304; stored; ttl=60; collapsed",
            ),
        ];

        for (status, expected) in cases {
            assert_eq!(shown(status, &[]), expected);
        }
    }

    #[test]
    fn the_caches_behind_this_one_stand_in_front_of_it() {
        let behind = ["OriginCache; hit; ttl=1100", "\"a CDN\";fwd=stale"];

        assert_eq!(
            shown(HIT, &behind),
            "OriginCache;hit;ttl=1100, \"a CDN\";fwd=stale, turnpike; hit; ttl=30"
        );
        assert_eq!(shown(HIT, &["=no list="]), "turnpike; hit; ttl=30");
    }
}
