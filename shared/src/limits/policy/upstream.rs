//! Upstreams: what `/query` and `/proxy` may reach, and on what terms.
//!
//! A policy that could send a caller's credentials or a connection's own headers to an upstream is
//! refused here, so that whoever calls upstreams need not look again. Calling them is not this
//! module's business.

use std::collections::BTreeMap;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Deserializer};

use super::class::Classes;
use super::read::{self, Feature, Name, Text, seconds, text, whole};
use super::{CacheTtls, PolicyError};

/// What nobody passes on: credentials, what names the parties of a connection, and what belongs to
/// one connection alone (RFC 9110, section 7.6.1), besides everything `x-forwarded-`. Answers are
/// not decoded, so nobody may ask for encoded ones.
const NEVER_PASSED: [&str; 16] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
];
/// Those of them that an upstream's own secret may travel in.
const CREDENTIAL_HEADERS: [&str; 2] = ["authorization", "x-api-key"];
const MAX_SECONDS: u64 = 24 * 60 * 60;
const MAX_COST: u64 = 1_000_000;

/// What is reached under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamPolicy {
    /// http or https, with a host; without userinfo, query and fragment.
    pub base_url: Uri,
    pub method: QueryMethod,
    /// Whether `/proxy` reaches it as well.
    pub proxy: bool,
    /// What `/proxy` may use.
    pub methods: Vec<Method>,
    /// What a path of `/proxy` begins with, below the base URL.
    pub paths: Vec<String>,
    /// Which of a caller's headers are passed on.
    pub forward_headers: Vec<HeaderName>,
    /// How long one try may take.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    pub cache_ttl: Duration,
    /// How long it is believed of an answer to a query that there is nothing (404 and 410).
    pub negative_ttl: Duration,
    /// How long after that an answer may still be served while a new one is fetched.
    pub stale: Duration,
    /// Whether users share what is cached.
    pub shared_cache: bool,
    /// Whether callers may go past a shared entry.
    pub allow_refresh: bool,
    /// What an answer from the cache counts.
    pub hit_cost: u64,
    pub class: String,
    pub cost: u64,
    pub requires_feature: Option<String>,
    pub breaker: BreakerPolicy,
    /// Headers that every request to it has; their values are not shown by `Debug`.
    pub headers: HeaderMap,
    pub secret_header: Option<SecretHeader>,
}

/// How a query is put to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryMethod {
    /// `?q=<query>`, with the parameters in the query string.
    #[default]
    Get,
    /// `{"query", "params"}` as JSON.
    Post,
}

/// When an upstream is left alone, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    #[serde(deserialize_with = "whole::<1, 1_000, _, _>")]
    pub failures: u32,
    #[serde(
        rename = "within_seconds",
        deserialize_with = "seconds::<1, MAX_SECONDS, _>"
    )]
    pub within: Duration,
    #[serde(
        rename = "open_seconds",
        deserialize_with = "seconds::<1, MAX_SECONDS, _>"
    )]
    pub open: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            within: Duration::from_mins(1),
            open: Duration::from_mins(1),
        }
    }
}

/// A header whose value is a secret that the policy names and does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    pub name: HeaderName,
    pub secret: String,
}

/// An upstream as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GivenUpstream {
    base_url: Option<BaseUrl>,
    #[serde(deserialize_with = "text")]
    method: QueryMethod,
    proxy: bool,
    methods: Vec<ProxyMethod>,
    paths: Vec<PathPrefix>,
    forward_headers: Vec<Header>,
    #[serde(deserialize_with = "whole::<1, 30_000, _, _>")]
    timeout_ms: u64,
    #[serde(deserialize_with = "whole::<0, 5, _, _>")]
    retries: u32,
    #[serde(deserialize_with = "read::maybe_whole::<0, MAX_SECONDS, _, _>")]
    cache_ttl_seconds: Option<u64>,
    #[serde(deserialize_with = "seconds::<0, MAX_SECONDS, _>")]
    negative_ttl_seconds: Duration,
    #[serde(deserialize_with = "seconds::<0, MAX_SECONDS, _>")]
    stale_seconds: Duration,
    shared_cache: bool,
    allow_refresh: bool,
    #[serde(deserialize_with = "read::maybe_whole::<0, MAX_COST, _, _>")]
    hit_cost: Option<u64>,
    class: Option<Name>,
    #[serde(deserialize_with = "whole::<0, MAX_COST, _, _>")]
    cost: u64,
    requires_feature: Option<Feature>,
    breaker: BreakerPolicy,
    headers: BTreeMap<String, FixedValue>,
    secret_header: Option<GivenSecretHeader>,
}

impl Default for GivenUpstream {
    fn default() -> Self {
        let forwarded = [
            "accept",
            "accept-language",
            "content-type",
            "if-none-match",
            "if-modified-since",
        ];
        Self {
            base_url: None,
            method: QueryMethod::default(),
            proxy: false,
            methods: vec![ProxyMethod(Method::GET), ProxyMethod(Method::HEAD)],
            paths: vec![PathPrefix("/".to_owned())],
            forward_headers: forwarded
                .map(|name| Header(HeaderName::from_static(name)))
                .into(),
            timeout_ms: 5_000,
            retries: 2,
            cache_ttl_seconds: None,
            negative_ttl_seconds: Duration::ZERO,
            stale_seconds: Duration::ZERO,
            shared_cache: false,
            allow_refresh: false,
            hit_cost: None,
            class: None,
            cost: 1,
            requires_feature: None,
            breaker: BreakerPolicy::default(),
            headers: BTreeMap::new(),
            secret_header: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenSecretHeader {
    name: Option<Header>,
    secret: Option<SecretName>,
}

impl GivenUpstream {
    pub(super) fn checked(
        self,
        upstream: &str,
        classes: &Classes,
        ttls: &CacheTtls,
    ) -> Result<UpstreamPolicy, PolicyError> {
        let path = |field: &str| format!("upstreams.{upstream}.{field}");
        let base_url = self
            .base_url
            .ok_or_else(|| PolicyError::missing(path("base_url"), BaseUrl::EXPECTED))?;
        if self.methods.is_empty() {
            let problem = "it is empty; it should name a method, or be left out";
            return Err(PolicyError::field(path("methods"), problem));
        }
        if self.paths.is_empty() {
            let problem = "it is empty; it should have a prefix, or be left out";
            return Err(PolicyError::field(path("paths"), problem));
        }
        let class = self.class.map_or_else(|| "query".to_owned(), String::from);
        if !classes.counts_users(&class) {
            let problem = format!("{class:?} is not a class that counts users");
            return Err(PolicyError::field(path("class"), problem));
        }
        let hit_cost = self.hit_cost.unwrap_or(self.cost);
        if hit_cost > self.cost {
            let problem = format!(
                "{hit_cost} is more than the cost of {}; a hit should not cost more than a miss",
                self.cost
            );
            return Err(PolicyError::field(path("hit_cost"), problem));
        }
        let headers = Headers {
            forwarded: self.forward_headers,
            fixed: self.headers,
            secret: self.secret_header,
        };
        let (forward_headers, headers, secret_header) = headers.checked(path)?;
        Ok(UpstreamPolicy {
            base_url: base_url.0,
            method: self.method,
            proxy: self.proxy,
            methods: self.methods.into_iter().map(|method| method.0).collect(),
            paths: self.paths.into_iter().map(|prefix| prefix.0).collect(),
            forward_headers,
            timeout: Duration::from_millis(self.timeout_ms),
            retries: self.retries,
            cache_ttl: self
                .cache_ttl_seconds
                .map_or(ttls.query_result, Duration::from_secs),
            negative_ttl: self.negative_ttl_seconds,
            stale: self.stale_seconds,
            shared_cache: self.shared_cache,
            allow_refresh: self.allow_refresh,
            hit_cost,
            class,
            cost: self.cost,
            requires_feature: self.requires_feature.map(String::from),
            breaker: self.breaker,
            headers,
            secret_header,
        })
    }
}

/// The three ways in which a request to an upstream gets a header; none of them may take another's
/// place.
struct Headers {
    forwarded: Vec<Header>,
    fixed: BTreeMap<String, FixedValue>,
    secret: Option<GivenSecretHeader>,
}

impl Headers {
    fn checked(
        self,
        path: impl Fn(&str) -> String,
    ) -> Result<(Vec<HeaderName>, HeaderMap, Option<SecretHeader>), PolicyError> {
        let secret = self.secret.map(|given| given.checked(&path)).transpose()?;
        let mut fixed = HeaderMap::new();
        for (written, FixedValue(value)) in self.fixed {
            let at = path(&format!("headers.{written}"));
            let no_name = || PolicyError::field(&at, "it should be a header's name");
            let Header(name) = Header::read(&written).ok_or_else(no_name)?;
            refuse_never_passed(&at, &name)?;
            if secret.as_ref().is_some_and(|secret| secret.name == name) {
                let problem = "it is the secret's header too; it should be one of the two";
                return Err(PolicyError::field(at, problem));
            }
            if fixed.insert(name, value).is_some() {
                let problem = "it is there in another spelling too; it should be there once";
                return Err(PolicyError::field(at, problem));
            }
        }
        let mut forwarded = Vec::new();
        for (index, Header(name)) in self.forwarded.into_iter().enumerate() {
            let at = path(&format!("forward_headers[{index}]"));
            refuse_never_passed(&at, &name)?;
            let is_ours = fixed.contains_key(&name)
                || secret.as_ref().is_some_and(|secret| secret.name == name);
            if is_ours {
                let problem = format!(
                    "{:?} is set by this policy; a caller's should not be passed on",
                    name.as_str()
                );
                return Err(PolicyError::field(at, problem));
            }
            forwarded.push(name);
        }
        Ok((forwarded, fixed, secret))
    }
}

impl GivenSecretHeader {
    fn checked(self, path: impl Fn(&str) -> String) -> Result<SecretHeader, PolicyError> {
        let missing = |field: &str, expected| PolicyError::missing(path(field), expected);
        let Header(name) = self
            .name
            .ok_or_else(|| missing("secret_header.name", Header::EXPECTED))?;
        let SecretName(secret) = self
            .secret
            .ok_or_else(|| missing("secret_header.secret", SecretName::EXPECTED))?;
        if !CREDENTIAL_HEADERS.contains(&name.as_str()) {
            refuse_never_passed(&path("secret_header.name"), &name)?;
        }
        Ok(SecretHeader { name, secret })
    }
}

fn refuse_never_passed(path: &str, name: &HeaderName) -> Result<(), PolicyError> {
    let name = name.as_str();
    if NEVER_PASSED.contains(&name) || name.starts_with("x-forwarded-") {
        let problem = format!(
            "{name:?} is never passed on: it is a credential, belongs to a connection or asks for \
             encoded answers; a secret goes into `secret_header`"
        );
        return Err(PolicyError::field(path, problem));
    }
    Ok(())
}

struct BaseUrl(Uri);

impl Text for BaseUrl {
    const EXPECTED: &'static str = "an http or https URL with a host, without user, query, \
                                    fragment and dot segments";

    fn read(text: &str) -> Option<Self> {
        // `Uri` drops a fragment silently, so that has to be seen before.
        if text.contains('#') {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let after_host = authority.as_str().strip_prefix(authority.host())?;
        let has_good_port = after_host.is_empty() || authority.port_u16().is_some();
        let is_good = is_http
            && !authority.host().is_empty()
            && has_good_port
            && uri.query().is_none()
            && is_plain_path(uri.path());
        is_good.then_some(Self(uri))
    }
}

/// Whether a path means what it says: none of it is resolved or decoded into something else, and no
/// request would have to encode it (RFC 3986, section 3.3).
fn is_plain_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    let mut segments = path.split('/');
    let begins_with_slash = segments.next() == Some("");
    let segments: Vec<&str> = segments.collect();
    // Only the last may be empty: the path then ends with a slash.
    let inner = segments.split_last().map_or(&[][..], |(_, inner)| inner);
    begins_with_slash
        && path.bytes().all(is_plain)
        && !inner.contains(&"")
        && !segments.iter().any(|segment| is_resolved(segment))
}

/// Whether somebody on the way may leave a segment out, or take it for the folder above. Some servers
/// do not look at what follows a semicolon.
fn is_resolved(segment: &str) -> bool {
    match segment.split_once(';') {
        None => [".", ".."].contains(&segment),
        Some((name, _)) => ["", ".", ".."].contains(&name),
    }
}

struct PathPrefix(String);

impl Text for PathPrefix {
    const EXPECTED: &'static str = "a path that begins with a slash, in plain characters, without \
                                    empty and dot segments";

    fn read(text: &str) -> Option<Self> {
        is_plain_path(text).then(|| Self(text.to_owned()))
    }
}

struct ProxyMethod(Method);

impl Text for ProxyMethod {
    const EXPECTED: &'static str = "GET, HEAD, POST, PUT, PATCH or DELETE";

    fn read(text: &str) -> Option<Self> {
        let known = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        known.into_iter().find(|known| known == text).map(Self)
    }
}

impl Text for QueryMethod {
    const EXPECTED: &'static str = "GET or POST";

    fn read(text: &str) -> Option<Self> {
        match text {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            _ => None,
        }
    }
}

struct Header(HeaderName);

impl Text for Header {
    const EXPECTED: &'static str = "a header's name";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

struct FixedValue(HeaderValue);

impl Text for FixedValue {
    const EXPECTED: &'static str = "a header's value, in visible ASCII characters";

    fn read(text: &str) -> Option<Self> {
        let is_trimmed = text.trim() == text;
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        (is_trimmed && value.to_str().is_ok()).then_some(Self(value))
    }
}

struct SecretName(String);

impl Text for SecretName {
    const EXPECTED: &'static str =
        "the name of a secret, of 1 to 512 of the characters A-Z, a-z, 0-9 and /_+=.@-";

    fn read(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
        let is_name = (1..=512).contains(&text.len()) && text.bytes().all(is_allowed);
        is_name.then(|| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl<'de> Deserialize<'de> for PathPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl<'de> Deserialize<'de> for ProxyMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl<'de> Deserialize<'de> for FixedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}
