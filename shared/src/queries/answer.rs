//! What an upstream's answer is worth as the result of a query, and in which form it is kept.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::errors::{Problem, ProblemCode};

/// The longest result, in bytes as Lambda carries it: a text within the JSON of its own answer,
/// which has at most 6 MB (AWS Lambda Developer Guide, "Lambda quotas").
const MAX_CARRIED: usize = 5_000_000;

/// Why an upstream's answer is no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the upstream answered with status {0}")]
    Status(StatusCode),
    #[error("the upstream's answer is declared as JSON and is not")]
    NotJson,
    #[error("the upstream's answer is not UTF-8 from byte {0}")]
    NotText(usize),
    #[error("the upstream's answer does not fit into an answer of ours")]
    TooLarge,
}

impl From<Unusable> for Problem {
    fn from(reason: Unusable) -> Self {
        let problem = match &reason {
            Unusable::Status(status) if is_not_there(*status) => Self::new(
                ProblemCode::UpstreamFailed,
                format!(
                    "The upstream has nothing there: it answered {}.",
                    status.as_u16()
                ),
            ),
            Unusable::Status(_) | Unusable::NotJson | Unusable::NotText(_) => Self::new(
                ProblemCode::UpstreamFailed,
                "The upstream did not give an answer that can be used.",
            ),
            Unusable::TooLarge => Self::new(
                ProblemCode::UpstreamTooLarge,
                "The upstream's answer is too large to be passed on.",
            ),
        };
        problem.caused_by(reason)
    }
}

/// An answer, as it is kept in the cache.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Kept {
    /// JSON.
    Result(String),
    /// That there is nothing, by the upstream's status.
    NotThere(u16),
}

impl Kept {
    /// What an upstream's answer comes to: JSON as it came, any other text as a JSON string,
    /// nothing as null.
    pub(super) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, Unusable> {
        if is_not_there(status) {
            return Ok(Self::NotThere(status.as_u16()));
        }
        if !status.is_success() {
            return Err(Unusable::Status(status));
        }
        let text =
            std::str::from_utf8(body).map_err(|error| Unusable::NotText(error.valid_up_to()))?;
        let result = match declared(headers) {
            _ if text.trim_ascii().is_empty() => "null".to_owned(),
            Declared::Json => json(text).ok_or(Unusable::NotJson)?,
            Declared::Nothing => json(text).unwrap_or_else(|| string(text)),
            Declared::Other => string(text),
        };
        if carried(&result) > MAX_CARRIED {
            return Err(Unusable::TooLarge);
        }
        Ok(Self::Result(result))
    }

    /// The result; `None` if it is not JSON, which nobody but a failing store makes of it.
    pub(super) fn into_result(self) -> Option<Result<Box<RawValue>, Unusable>> {
        match self {
            Self::Result(json) => RawValue::from_string(json).ok().map(Ok),
            Self::NotThere(status) => {
                let status = StatusCode::from_u16(status).ok()?;
                Some(Err(Unusable::Status(status)))
            }
        }
    }
}

/// Whether an answer may be kept by what it says itself (RFC 9111, section 5.2.2): at all, and for
/// others than whoever asked.
pub(super) fn may_be_kept(headers: &HeaderMap, is_shared: bool) -> bool {
    let directives = headers.get_all(CACHE_CONTROL).iter();
    let directives = directives.filter_map(|value| value.to_str().ok());
    let mut names = directives
        .flat_map(|value| value.split(','))
        .map(|directive| directive.split('=').next().unwrap_or_default().trim());
    let forbids = |name: &str| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        is("no-store") || (is_shared && is("private"))
    };
    !names.any(forbids)
}

/// Whether a status says that there is nothing, which is as good an answer as any (RFC 9110,
/// sections 15.5.5 and 15.5.11).
fn is_not_there(status: StatusCode) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&status)
}

/// What a body is declared to be.
enum Declared {
    Json,
    Nothing,
    Other,
}

fn declared(headers: &HeaderMap) -> Declared {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Declared::Nothing;
    };
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    if essence == "application/json" || essence == "text/json" || essence.ends_with("+json") {
        Declared::Json
    } else {
        Declared::Other
    }
}

/// A text that is JSON, as it stands: numbers keep their digits.
fn json(text: &str) -> Option<String> {
    let value: Box<RawValue> = serde_json::from_str(text).ok()?;
    Some(value.get().to_owned())
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// How long JSON is as a text within JSON.
fn carried(json: &str) -> usize {
    let escaped = json.bytes().filter(|byte| b"\"\\\n\r\t".contains(byte));
    json.len() + escaped.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let named = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        named.collect()
    }

    fn of(content_type: &'static str, body: &[u8]) -> Result<Kept, Unusable> {
        let headers = match content_type {
            "" => HeaderMap::new(),
            given => headers(&[("content-type", given)]),
        };
        Kept::of(StatusCode::OK, &headers, body)
    }

    #[test]
    fn json_stays_as_it_is_other_text_becomes_a_string_and_nothing_becomes_null() {
        let json = "application/json; charset=utf-8";
        let cases: &[(&'static str, &[u8], &str)] = &[
            (json, b" {\"a\": 1} \n", r#"{"a": 1}"#),
            (
                json,
                b"123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            (json, b"", "null"),
            ("application/problem+json", b"[]", "[]"),
            ("text/plain", b"{\"a\": 1}", r#""{\"a\": 1}""#),
            ("text/html", "<p>Grüße</p>".as_bytes(), r#""<p>Grüße</p>""#),
            ("", b"[1]", "[1]"),
            ("", b"plain", r#""plain""#),
            ("text/plain", b" \n", "null"),
        ];

        for (content_type, body, expected) in cases {
            let kept = of(content_type, body);
            assert_eq!(
                kept,
                Ok(Kept::Result((*expected).to_owned())),
                "{content_type}"
            );
        }
    }

    #[test]
    fn what_is_neither_text_nor_what_it_says_is_no_result() {
        let quotes = format!("[\"{}\"]", "\\\"".repeat(MAX_CARRIED / 4));

        assert_eq!(of("application/json", b"{\"a\":"), Err(Unusable::NotJson));
        assert_eq!(of("text/plain", b"ab\xff"), Err(Unusable::NotText(2)));
        assert_eq!(
            of("application/json", quotes.as_bytes()),
            Err(Unusable::TooLarge)
        );
    }

    #[test]
    fn only_a_success_is_a_result_and_that_there_is_nothing_can_be_kept() {
        let with = |status: StatusCode| Kept::of(status, &HeaderMap::new(), b"{}");

        assert!(matches!(with(StatusCode::ACCEPTED), Ok(Kept::Result(_))));
        assert_eq!(with(StatusCode::NOT_FOUND), Ok(Kept::NotThere(404)));
        assert_eq!(with(StatusCode::GONE), Ok(Kept::NotThere(410)));
        for status in [
            StatusCode::FOUND,
            StatusCode::FORBIDDEN,
            StatusCode::BAD_GATEWAY,
        ] {
            assert_eq!(with(status), Err(Unusable::Status(status)));
        }
    }

    #[test]
    fn what_is_not_to_be_stored_is_not_kept_and_what_is_private_not_for_all() {
        let cases: &[(&'static str, &'static str, bool, bool)] = &[
            ("cache-control", "max-age=60", true, true),
            ("cache-control", "max-age=60, Private", true, false),
            ("cache-control", "no-store", false, false),
            ("cache-control", "private=\"x\", max-age=1", true, false),
            ("expires", "0", true, true),
        ];

        for (name, value, for_one, for_all) in cases {
            let headers = headers(&[(name, value)]);
            assert_eq!(may_be_kept(&headers, false), *for_one, "{name}: {value}");
            assert_eq!(may_be_kept(&headers, true), *for_all, "{name}: {value}");
        }
        assert!(may_be_kept(&HeaderMap::new(), true));
    }
}
