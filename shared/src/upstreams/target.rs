//! What is asked of an upstream: an address below the one that the policy names, whatever a caller
//! writes.
//!
//! A path is looked at in every form that somebody on the way may decode it to, and refused if any
//! of them is not plainly below the base and one of the policy's prefixes. What an upstream makes of
//! a path is its own business.

use std::borrow::Cow;

use form_urlencoded::Serializer;
use http::Uri;
use http::uri::Authority;
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use crate::errors::{Problem, ProblemCode};
use crate::limits::policy::{QueryMethod, UpstreamPolicy};

/// The longest target, in bytes: servers take 8 KiB as a rule, and few take more than twice that.
const MAX_BYTES: usize = 16 * 1024;
/// How often a path may be encoded upon itself. Nothing honest is encoded more than twice.
const MAX_DECODINGS: usize = 5;
/// The parameter in which a query goes to an upstream.
const QUERY_PARAMETER: &str = "q";

/// The address of a request to an upstream, with its path and query string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    uri: Uri,
    /// The same as text.
    address: String,
    reach: Reach,
}

/// How far below the base an address may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// Anywhere.
    Base,
    /// Below the prefixes of the policy.
    Prefixes,
}

/// Why there is no such target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTarget {
    #[error("the path has an empty, \".\" or \"..\" segment, encoded or not")]
    Segment,
    #[error("the path has a backslash or a control character, encoded or not")]
    Character,
    #[error("the path or the query string is not encoded as RFC 3986 wants it")]
    Encoding,
    #[error("the path is not below one of those that can be reached")]
    OutOfReach,
    #[error("path and query string are longer than {MAX_BYTES} bytes together")]
    TooLong,
}

impl Target {
    /// Where a query goes: to the base itself. With GET the query is the parameter `q`, and `params`
    /// are others, of which none can take its place; with POST both are in the body.
    pub fn of_query(
        policy: &UpstreamPolicy,
        query: &str,
        params: &Map<String, Value>,
    ) -> Result<Self, InvalidTarget> {
        let query = match policy.method {
            QueryMethod::Get => Some(query_string(query, params)),
            QueryMethod::Post => None,
        };
        let path = policy.base_url.path();
        Self::checked(policy, path, query.as_deref(), Reach::Base)
    }

    /// Where a request goes that names a path below the base; `path` and `query` as they came, with
    /// nothing decoded.
    pub fn of_path(
        policy: &UpstreamPolicy,
        path: &str,
        query: Option<&str>,
    ) -> Result<Self, InvalidTarget> {
        let below = path.strip_prefix('/').unwrap_or(path);
        let base = policy.base_url.path();
        let joined = if below.is_empty() {
            base.to_owned()
        } else {
            format!("{}/{below}", base.trim_end_matches('/'))
        };
        Self::checked(policy, &joined, query, Reach::Prefixes)
    }

    /// Where a redirect leads from here, if that is as good a target (RFC 9110, section 10.2.2).
    /// References with dot segments are not resolved.
    pub(super) fn redirected(
        &self,
        policy: &UpstreamPolicy,
        location: &str,
    ) -> Result<Self, InvalidTarget> {
        let reference = location.split('#').next().unwrap_or_default();
        let (before_query, query) = match reference.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (reference, None),
        };
        let scheme = policy.base_url.scheme_str().unwrap_or_default();
        let rest = match before_query.split_once("://") {
            Some((named, rest)) if named.eq_ignore_ascii_case(scheme) => Some(rest),
            Some((named, _)) if is_scheme(named) => return Err(InvalidTarget::OutOfReach),
            _ => before_query.strip_prefix("//"),
        };
        let path: Cow<'_, str> = match rest {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                if !is_same_host(policy, authority) {
                    return Err(InvalidTarget::OutOfReach);
                }
                if path.is_empty() {
                    "/".into()
                } else {
                    path.into()
                }
            }
            None if before_query.starts_with('/') => before_query.into(),
            None if before_query.is_empty() => self.uri.path().into(),
            None => {
                let from = self.uri.path();
                let folder = from.rfind('/').map_or("/", |slash| &from[..=slash]);
                format!("{folder}{before_query}").into()
            }
        };
        Self::checked(policy, &path, query, self.reach)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The path below the upstream's host, and the query string.
    pub fn path_and_query(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    fn checked(
        policy: &UpstreamPolicy,
        path: &str,
        query: Option<&str>,
        reach: Reach,
    ) -> Result<Self, InvalidTarget> {
        if path.len() + query.map_or(0, str::len) > MAX_BYTES {
            return Err(InvalidTarget::TooLong);
        }
        let is_encoded = path.bytes().all(is_path_byte)
            && has_whole_escapes(path)
            && query.is_none_or(|query| query.bytes().all(is_query_byte));
        if !is_encoded {
            let is_character = |byte: u8| byte == b'\\' || byte.is_ascii_control();
            return Err(if path.bytes().any(is_character) {
                InvalidTarget::Character
            } else {
                InvalidTarget::Encoding
            });
        }
        let base = policy.base_url.path();
        check_every_form(path, |form| {
            let below = segments_below(base, form).ok_or(InvalidTarget::OutOfReach)?;
            let is_reached = |prefix: &String| is_prefix(prefix, &below);
            let is_in_reach = reach == Reach::Base || policy.paths.iter().any(is_reached);
            is_in_reach.then_some(()).ok_or(InvalidTarget::OutOfReach)
        })?;
        let (uri, address) = parsed(policy, path, query).ok_or(InvalidTarget::Encoding)?;
        let target = Self {
            uri,
            address,
            reach,
        };
        let uri = &target.uri;
        // What was joined as text is read once more as whoever sends it reads it.
        let is_kept = uri.scheme() == policy.base_url.scheme()
            && uri.authority() == policy.base_url.authority()
            && uri.path() == path
            && uri.query() == query;
        is_kept.then_some(target).ok_or(InvalidTarget::OutOfReach)
    }
}

fn parsed(policy: &UpstreamPolicy, path: &str, query: Option<&str>) -> Option<(Uri, String)> {
    let (scheme, authority) = (policy.base_url.scheme()?, policy.base_url.authority()?);
    let address = match query {
        None => format!("{scheme}://{authority}{path}"),
        Some(query) => format!("{scheme}://{authority}{path}?{query}"),
    };
    Some((address.parse().ok()?, address))
}

/// Checks a path as it stands and in all forms that come of decoding it, until nothing is left to
/// be decoded.
fn check_every_form(
    path: &str,
    check: impl Fn(&str) -> Result<(), InvalidTarget>,
) -> Result<(), InvalidTarget> {
    let mut form = Cow::Borrowed(path);
    for _ in 0..=MAX_DECODINGS {
        check_segments(&form)?;
        check(&form)?;
        let decoded = percent_decode(form.as_bytes()).decode_utf8();
        // Bytes that are not UTF-8 could be an overlong form of something that is refused.
        let decoded = decoded.map_err(|_| InvalidTarget::Encoding)?.into_owned();
        if decoded == form {
            return Ok(());
        }
        form = Cow::Owned(decoded);
    }
    Err(InvalidTarget::Encoding)
}

fn check_segments(path: &str) -> Result<(), InvalidTarget> {
    if path.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(InvalidTarget::Character);
    }
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        // Some servers leave out what follows a semicolon before they resolve dots.
        let name = segment.split(';').next().unwrap_or_default();
        let is_last = segments.peek().is_none();
        let is_ending_slash = is_last && segment.is_empty();
        if [".", ".."].contains(&name) || (name.is_empty() && !is_ending_slash) {
            return Err(InvalidTarget::Segment);
        }
    }
    Ok(())
}

/// The segments of a path below a base, if it lies there.
fn segments_below<'a>(base: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let below = path.strip_prefix(base.trim_end_matches('/'))?;
    match below.strip_prefix('/') {
        Some(below) => Some(below.split('/').collect()),
        None if below.is_empty() => Some(vec![]),
        None => None,
    }
}

/// Whether a policy's prefix covers these segments. A slash at its end asks for something below it.
fn is_prefix(prefix: &str, below: &[&str]) -> bool {
    let prefix = prefix.trim_start_matches('/');
    if prefix.is_empty() {
        return true;
    }
    let mut below = below.iter();
    prefix
        .trim_end_matches('/')
        .split('/')
        .all(|segment| below.next() == Some(&segment))
        && (!prefix.ends_with('/') || below.next().is_some())
}

fn is_scheme(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn is_same_host(policy: &UpstreamPolicy, authority: &str) -> bool {
    let default_port = match policy.base_url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let (Ok(other), Some(own)) = (authority.parse::<Authority>(), policy.base_url.authority())
    else {
        return false;
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    let has_port_or_none =
        |authority: &Authority| authority.port().is_none() == authority.port_u16().is_none();
    !authority.contains('@')
        && has_port_or_none(&other)
        && other.host().eq_ignore_ascii_case(own.host())
        && port(&other) == port(own)
}

fn query_string(query: &str, params: &Map<String, Value>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair(QUERY_PARAMETER, query);
    for (name, value) in params.iter().filter(|(name, _)| *name != QUERY_PARAMETER) {
        match value {
            Value::Array(values) => {
                for value in values {
                    form.append_pair(name, &text_of(value));
                }
            }
            value => {
                form.append_pair(name, &text_of(value));
            }
        }
    }
    form.finish()
}

/// A parameter's value: a text as it is, null as nothing, anything else as its JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        Value::Null => "".into(),
        other => other.to_string().into(),
    }
}

/// Whether two hexadecimal digits follow each percent sign.
fn has_whole_escapes(path: &str) -> bool {
    let mut parts = path.split('%').skip(1).map(str::as_bytes);
    parts.all(
        |behind| matches!(behind, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
    )
}

/// `pchar` and the slash (RFC 3986, section 3.3).
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)
}

/// What a query string may have; more than RFC 3986 wants, as everybody takes it.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"#\\\"<>`".contains(&byte)
}

/// A path of a caller's that leads nowhere.
impl From<InvalidTarget> for Problem {
    fn from(invalid: InvalidTarget) -> Self {
        Self::new(
            ProblemCode::InvalidPath,
            format!("The path cannot be passed on: {invalid}."),
        )
    }
}
