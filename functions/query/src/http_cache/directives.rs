//! `Cache-Control` (RFC 9111, section 5.2), read as the grammar has it: names without case, values
//! with or without quotes, commas within them.

use std::fmt::Write as _;

use http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use http::{HeaderMap, HeaderValue};

/// What a number of seconds is at most (RFC 9111, section 1.2.2).
const MAX_SECONDS: u32 = 1 << 31;

/// The directives of a message, each with its value if it has one, in the order in which they came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    /// The directives of a request. Without any, `Pragma: no-cache` is one (RFC 9111, section 5.4).
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        let directives = Self::of(headers);
        if !directives.0.is_empty() {
            return directives;
        }
        let pragmas = headers.get_all(PRAGMA).iter();
        let mut pragmas = pragmas.flat_map(|value| members(value.as_bytes()));
        if pragmas.any(|(name, _)| name == "no-cache") {
            Self(vec![("no-cache".to_owned(), None)])
        } else {
            Self::default()
        }
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(CACHE_CONTROL).iter();
        Self(values.flat_map(|value| members(value.as_bytes())).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The seconds of a directive; the first if there are several. `None` without it, or if it is
    /// no number.
    pub(crate) fn seconds(&self, name: &str) -> Option<u32> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        seconds(value.as_deref()?)
    }

    #[must_use]
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(known, _)| !names.contains(&known.as_str()));
        self
    }

    /// The header's value, in a form that everybody reads alike: of what is there twice the first,
    /// times as whole numbers, those that are none as zero, so that they are over.
    pub(super) fn as_header(&self) -> Option<HeaderValue> {
        let mut text = String::new();
        let mut written: Vec<&str> = vec![];
        for (name, value) in &self.0 {
            if written.contains(&name.as_str()) {
                continue;
            }
            written.push(name);
            let separator = if text.is_empty() { "" } else { ", " };
            let is_time = TIMES.contains(&name.as_str());
            let _ = match value {
                given if is_time => {
                    let time = given.as_deref().and_then(seconds).unwrap_or(0);
                    write!(text, "{separator}{name}={time}")
                }
                None => write!(text, "{separator}{name}"),
                Some(value) if name == "max-stale" => {
                    write!(text, "{separator}{name}={}", seconds(value).unwrap_or(0))
                }
                Some(value) if is_token(value) => write!(text, "{separator}{name}={value}"),
                Some(value) => write!(text, "{separator}{name}={}", quoted(value)),
            };
        }
        HeaderValue::try_from(text)
            .ok()
            .filter(|text| !text.is_empty())
    }
}

/// The directives that mean nothing without a time.
const TIMES: [&str; 5] = [
    "max-age",
    "min-fresh",
    "s-maxage",
    "stale-while-revalidate",
    "stale-if-error",
];

/// `Cache-Control` of an answer to somebody who was let in. What it says of time holds; but however
/// public the upstream calls it, here it was given to one client for their credential, so that a
/// cache on the way must not give it to another. Says nothing where the upstream said nothing.
pub(crate) fn for_one_client(headers: &HeaderMap) -> Option<HeaderValue> {
    let says_nothing = !headers.contains_key(CACHE_CONTROL) && !headers.contains_key(EXPIRES);
    if says_nothing {
        return None;
    }
    let of_shared_caches = ["private", "proxy-revalidate", "public", "s-maxage"];
    let mut directives = Directives::of(headers).without(&of_shared_caches);
    if !directives.has("no-store") {
        directives.0.insert(0, ("private".to_owned(), None));
    }
    directives.as_header()
}

/// The members of a list of `name` or `name=value`. What cannot be read as UTF-8 spoils its own
/// member alone.
fn members(value: &[u8]) -> Vec<(String, Option<String>)> {
    let text = String::from_utf8_lossy(value);
    let (mut members, mut member) = (vec![], String::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for character in text.chars() {
        if character == ',' && !is_quoted {
            members.push(std::mem::take(&mut member));
            continue;
        }
        if character == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        member.push(character);
    }
    members.push(member);
    members.iter().filter_map(|member| read(member)).collect()
}

fn read(member: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match member.split_once('=') {
        Some((name, value)) => (name, Some(unquoted(value.trim()))),
        None => (member, None),
    };
    let name = name.trim().to_ascii_lowercase();
    is_token(&name).then_some((name, value))
}

fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .map(|value| value.strip_suffix('"').unwrap_or(value));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let (mut text, mut is_escaped) = (String::new(), false);
    for character in inner.chars() {
        is_escaped = character == '\\' && !is_escaped;
        if !is_escaped {
            text.push(character);
        }
    }
    text
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn seconds(value: &str) -> Option<u32> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // Only a number that is too large does not parse.
    is_number.then(|| value.parse().unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| {
            let value = HeaderValue::from_static(value);
            (CACHE_CONTROL, value)
        });
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn directives_read_alike_however_they_are_written() {
        let cases: &[(&[&str], &str)] = &[
            (&["Max-Age=60, NO-STORE"], "max-age=60, no-store"),
            (&["max-age=\"60\""], "max-age=60"),
            (&["max-age=60", "private"], "max-age=60, private"),
            (&["max-age=60, max-age=5"], "max-age=60"),
            (&["max-age=-1"], "max-age=0"),
            (&["max-age"], "max-age=0"),
            (&["max-stale, min-fresh=x"], "max-stale, min-fresh=0"),
            (&["max-stale=x"], "max-stale=0"),
            (&["max-age=1.5, s-maxage=x"], "max-age=0, s-maxage=0"),
            (&["max-age=99999999999999999999999"], "max-age=2147483648"),
            (&["ext=\"a, no-store\", x"], "ext=\"a, no-store\", x"),
            (&["ext=\"a\\\", no-store\""], "ext=\"a\\\", no-store\""),
            (&["private=\"set-cookie\""], "private=set-cookie"),
            (&[" , ,,public , "], "public"),
            (&["a b, =, public"], "public"),
        ];

        for (given, expected) in cases {
            let directives = Directives::of(&headers(given));
            let shown = directives.as_header().unwrap();
            assert_eq!(shown.to_str().unwrap(), *expected, "{given:?}");
        }
    }

    #[test]
    fn a_pragma_counts_only_where_nothing_else_is_said() {
        let mut request = HeaderMap::new();
        request.insert(PRAGMA, HeaderValue::from_static("x, No-Cache"));
        assert!(Directives::of_request(&request).has("no-cache"));

        request.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));

        let directives = Directives::of_request(&request);
        assert!(!directives.has("no-cache"));
        assert_eq!(directives.seconds("max-age"), Some(5));
    }

    #[test]
    fn what_is_given_for_a_credential_is_never_public() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&["public, max-age=60"], Some("private, max-age=60")),
            (&["s-maxage=5, max-age=60"], Some("private, max-age=60")),
            (&["private=\"etag\", max-age=1"], Some("private, max-age=1")),
            (&["no-store"], Some("no-store")),
            (&["no-cache"], Some("private, no-cache")),
            (&["must-revalidate"], Some("private, must-revalidate")),
        ];

        for (given, expected) in cases {
            let shown = for_one_client(&headers(given));
            let shown = shown.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(shown, *expected, "{given:?}");
        }
        let mut expires = HeaderMap::new();
        expires.insert(EXPIRES, HeaderValue::from_static("0"));
        assert_eq!(for_one_client(&expires).unwrap(), "private");
    }
}
