//! A client's own conditions, answered from what is at hand (RFC 9110, section 13; RFC 9111, section
//! 4.3.2).

use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, StatusCode};

/// What describes a content, which a 304 has none of (RFC 9110, section 15.4.5).
const OF_CONTENT: [HeaderName; 6] = [
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
];

/// Whether the client has what it would be answered with.
pub(crate) fn is_not_modified(request: &HeaderMap, status: StatusCode, answer: &HeaderMap) -> bool {
    if status != StatusCode::OK {
        return false;
    }
    let mut known = request.get_all(IF_NONE_MATCH).iter().peekable();
    if known.peek().is_some() {
        let etag = answer.get(ETAG).and_then(|etag| etag.to_str().ok());
        let mut known = known.filter_map(|tags| tags.to_str().ok());
        return known.any(|tags| tags.trim() == "*" || etag.is_some_and(|etag| lists(tags, etag)));
    }
    let (Some(since), Some(modified)) = (
        moment(request, &IF_MODIFIED_SINCE),
        moment(answer, &LAST_MODIFIED),
    ) else {
        return false;
    };
    modified <= since
}

/// The headers of the answer that says so.
pub(crate) fn as_not_modified(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_CONTENT {
        headers.remove(name);
    }
    headers
}

/// The weak comparison of RFC 9110, section 8.8.3.2.
fn lists(tags: &str, etag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    entity_tags(tags).any(|tag| opaque(tag) == opaque(etag.trim()))
}

/// The entity tags of a list. Their own text may have commas, so they end at their second quote.
fn entity_tags(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let quote = rest.find('"')?;
        let end = quote + 1 + rest[quote + 1..].find('"')? + 1;
        let (tag, after) = rest.split_at(end);
        rest = after;
        Some(tag)
    })
}

fn moment(headers: &HeaderMap, name: &HeaderName) -> Option<std::time::SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    httpdate::parse_http_date(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const MONDAY: &str = "Mon, 16 Nov 2026 10:00:00 GMT";
    const TUESDAY: &str = "Tue, 17 Nov 2026 10:00:00 GMT";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn who_has_the_answer_is_told_so() {
        let tagged = headers(&[("etag", "\"a,b\""), ("last-modified", MONDAY)]);
        let weak = headers(&[("etag", "W/\"1\"")]);
        let bare = HeaderMap::new();
        let cases = [
            (&tagged, &[("if-none-match", "\"a,b\"")][..], true),
            (&tagged, &[("if-none-match", "\"x\", W/\"a,b\"")], true),
            (&tagged, &[("if-none-match", "\"a\", \"b\"")], false),
            (
                &tagged,
                &[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")],
                true,
            ),
            (&tagged, &[("if-none-match", "*")], true),
            (&bare, &[("if-none-match", "*")], true),
            (&bare, &[("if-none-match", "\"a\"")], false),
            (&weak, &[("if-none-match", "\"1\"")], true),
            (&weak, &[("if-none-match", "\"1")], false),
            (&tagged, &[("if-modified-since", MONDAY)], true),
            (&tagged, &[("if-modified-since", TUESDAY)], true),
            (
                &tagged,
                &[("if-modified-since", "Sun, 15 Nov 2026 10:00:00 GMT")],
                false,
            ),
            (
                &tagged,
                &[("if-modified-since", "Monday, 16-Nov-26 10:00:00 GMT")],
                true,
            ),
            (&tagged, &[("if-modified-since", "yesterday")], false),
            (
                &tagged,
                &[("if-none-match", "\"x\""), ("if-modified-since", TUESDAY)],
                false,
            ),
            (&weak, &[("if-modified-since", TUESDAY)], false),
            (&tagged, &[], false),
        ];

        for (answer, request, expected) in cases {
            let is_so = is_not_modified(&headers(request), StatusCode::OK, answer);
            assert_eq!(is_so, expected, "{request:?} of {answer:?}");
        }
    }

    #[test]
    fn only_a_success_can_be_had_already() {
        let request = headers(&[("if-none-match", "*")]);

        for status in [
            StatusCode::NOT_FOUND,
            StatusCode::FOUND,
            StatusCode::BAD_GATEWAY,
        ] {
            assert!(!is_not_modified(&request, status, &HeaderMap::new()));
        }
    }
}
