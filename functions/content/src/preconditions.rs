//! `If-Match` and `If-None-Match` (RFC 9110, section 13.1): read from the headers, and held against
//! what is there.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use turnpike_shared::content::Location;
use turnpike_shared::errors::{FieldError, Problem};

/// The strong entity tag of a version.
pub(crate) fn etag(version: &str) -> HeaderValue {
    let tag = HeaderValue::try_from(format!("\"{version}\""));
    // A version is hex.
    tag.unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// What a request says of what is to be there.
#[derive(Debug, Default)]
pub(crate) struct Preconditions {
    pub(crate) if_match: Option<EntityTags>,
    pub(crate) if_none_match: Option<EntityTags>,
}

impl Preconditions {
    /// Whether something may be put where `there` is, or where nothing is.
    pub(crate) fn admit(&self, there: Option<&Location>) -> bool {
        let version = there.map(Location::version);
        let version = version.as_deref();
        let is_known = self
            .if_match
            .as_ref()
            .is_none_or(|tags| tags.include(version));
        let is_another = self
            .if_none_match
            .as_ref()
            .is_none_or(|tags| !tags.include_weakly(version));
        is_known && is_another
    }
}

/// The preconditions, or the problem that they cannot be read: for the handler to say in its turn,
/// behind what comes before a request's content.
pub(crate) struct ReadPreconditions(pub(crate) Result<Preconditions, Problem>);

impl<S: Sync> FromRequestParts<S> for ReadPreconditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let if_match = tags_in(&parts.headers, &IF_MATCH, "If-Match");
        let if_none_match = tags_in(&parts.headers, &IF_NONE_MATCH, "If-None-Match");
        let read = if_match.and_then(|if_match| {
            Ok(Preconditions {
                if_match,
                if_none_match: if_none_match?,
            })
        });
        Ok(Self(read.map_err(|error| Problem::validation(vec![error]))))
    }
}

fn tags_in(
    headers: &HeaderMap,
    name: &HeaderName,
    field: &'static str,
) -> Result<Option<EntityTags>, FieldError> {
    let lines: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let tags = EntityTags::parse(&lines.join(&b", "[..]));
    tags.map(Some).ok_or_else(|| {
        let detail = "Send entity tags as ETag gave them, or *.";
        FieldError::new(field, "invalid", detail)
    })
}

/// What the two headers hold.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum EntityTags {
    /// `*`: of anything that is there.
    Any,
    These(Vec<EntityTag>),
}

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct EntityTag {
    is_weak: bool,
    opaque: Vec<u8>,
}

impl EntityTags {
    /// By the strong comparison (RFC 9110, section 8.8.3.2).
    pub(crate) fn include(&self, version: Option<&str>) -> bool {
        self.any(version, |tag| !tag.is_weak)
    }

    /// By the weak comparison.
    pub(crate) fn include_weakly(&self, version: Option<&str>) -> bool {
        self.any(version, |_| true)
    }

    fn any(&self, version: Option<&str>, counts: impl Fn(&EntityTag) -> bool) -> bool {
        let Some(version) = version else {
            return false;
        };
        match self {
            Self::Any => true,
            Self::These(tags) => tags
                .iter()
                .any(|tag| counts(tag) && tag.opaque == version.as_bytes()),
        }
    }

    /// `*`, or one or more tags with commas between them; empty elements are passed over (section
    /// 5.6.1.2).
    fn parse(text: &[u8]) -> Option<Self> {
        let mut rest = text.trim_ascii();
        if rest == b"*" {
            return Some(Self::Any);
        }
        let mut tags = vec![];
        loop {
            rest = rest.trim_ascii_start();
            if let Some(behind) = rest.strip_prefix(b",") {
                rest = behind;
            } else if rest.is_empty() {
                return (!tags.is_empty()).then_some(Self::These(tags));
            } else {
                let (tag, behind) = EntityTag::read(rest)?;
                tags.push(tag);
                rest = behind.trim_ascii_start();
                if !rest.is_empty() && !rest.starts_with(b",") {
                    return None;
                }
            }
        }
    }
}

impl EntityTag {
    /// The tag that a text begins with, and what is behind it.
    fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let (is_weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let (opaque, behind) = inner.split_at_checked(end)?;
        let is_of_tags = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7E | 0x80..);
        let tag = Self {
            is_weak,
            opaque: opaque.to_vec(),
        };
        let is_tag = opaque.iter().all(is_of_tags);
        is_tag.then_some((tag, behind.get(1..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong(opaque: &str) -> EntityTag {
        EntityTag {
            is_weak: false,
            opaque: opaque.into(),
        }
    }

    fn weak(opaque: &str) -> EntityTag {
        EntityTag {
            is_weak: true,
            ..strong(opaque)
        }
    }

    #[test]
    fn tags_are_read_as_rfc_9110_writes_them() {
        let cases = [
            ("*", EntityTags::Any),
            (" * ", EntityTags::Any),
            ("\"xyzzy\"", EntityTags::These(vec![strong("xyzzy")])),
            ("W/\"xyzzy\"", EntityTags::These(vec![weak("xyzzy")])),
            ("\"\"", EntityTags::These(vec![strong("")])),
            (
                "\"xyzzy\", \"r2d2,xx\" ,W/\"c3piozzzz\"",
                EntityTags::These(vec![strong("xyzzy"), strong("r2d2,xx"), weak("c3piozzzz")]),
            ),
            (", \"a\",,", EntityTags::These(vec![strong("a")])),
        ];

        for (text, tags) in cases {
            assert_eq!(EntityTags::parse(text.as_bytes()), Some(tags), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        let cases = [
            "",
            ",",
            "xyzzy",
            "\"open",
            "w/\"a\"",
            "\"a\" \"b\"",
            "*, \"a\"",
            "\"a b\"",
            "W/ \"a\"",
        ];

        for text in cases {
            assert_eq!(EntityTags::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_weak_tag_counts_where_nothing_is_to_be_changed_alone() {
        let tags = EntityTags::These(vec![weak("a")]);

        assert!(tags.include_weakly(Some("a")) && !tags.include(Some("a")));
        assert!(!tags.include_weakly(Some("b")) && !tags.include_weakly(None));
        assert!(EntityTags::Any.include(Some("a")) && !EntityTags::Any.include(None));
    }
}
