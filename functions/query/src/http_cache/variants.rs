//! Which of several answers of one address is the one that a request asks for (`Vary`, RFC 9111,
//! section 4.1).

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request that an answer was chosen by, and their values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Selection {
    /// In alphabetical order, each once.
    named: Vec<HeaderName>,
    values: HeaderMap,
}

impl Selection {
    /// What an answer with these headers was chosen by; `None` if no other request can ask for it.
    pub(crate) fn of(answer: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        Some(Self::by(names(answer)?, request))
    }

    /// What was asked with, as far as it mattered.
    pub(crate) fn values(&self) -> &HeaderMap {
        &self.values
    }

    /// Names and values for a digest: two selections have the same parts only if they are the same.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        let part = |name: &HeaderName| {
            let value = self.values.get(name).map(HeaderValue::as_bytes);
            // A header that is empty is another than one that is not there.
            let marker: &[u8] = if value.is_some() { b"1" } else { b"0" };
            (marker, value.unwrap_or_default())
        };
        let parts = self.named.iter().map(|name| (name, part(name)));
        parts
            .flat_map(|(name, (marker, value))| [name.as_str().as_bytes(), marker, value])
            .collect()
    }

    fn by(named: Vec<HeaderName>, request: &HeaderMap) -> Self {
        let values = named
            .iter()
            .filter_map(|name| Some((name.clone(), joined(request, name)?)));
        let values = values.collect();
        Self { named, values }
    }
}

/// The names in `Vary`; `None` if an asterisk is among them, or something that is no name.
fn names(answer: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut named = vec![];
    for value in answer.get_all(VARY) {
        for name in value.to_str().ok()?.split(',') {
            match name.trim() {
                "" => {}
                "*" => return None,
                name => named.push(name.parse().ok()?),
            }
        }
    }
    named.sort_by(|one: &HeaderName, other| one.as_str().cmp(other.as_str()));
    named.dedup();
    Some(named)
}

/// All lines of a header as one, which means the same (RFC 9110, section 5.3).
pub(super) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let mut line = first.as_bytes().trim_ascii().to_vec();
    for value in values {
        line.extend_from_slice(b", ");
        line.extend_from_slice(value.as_bytes().trim_ascii());
    }
    HeaderValue::from_bytes(&line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn requests_select_the_same_answer_when_the_named_headers_are_the_same() {
        let answer = headers(&[
            ("vary", "Accept-Language, x-flag"),
            ("vary", "accept-language"),
        ]);
        let request = headers(&[
            ("accept-language", "en"),
            ("accept-language", " de"),
            ("accept", "text/html"),
        ]);
        let selection = Selection::of(&answer, &request).unwrap();
        let for_request = |request: &HeaderMap| Selection::of(&answer, request).unwrap();
        let same = headers(&[("accept-language", "en, de"), ("accept", "text/plain")]);
        let empty = headers(&[("accept-language", "en, de"), ("x-flag", "")]);
        let other = headers(&[("accept-language", "fr")]);

        assert_eq!(for_request(&same), selection);
        assert_eq!(for_request(&same).parts(), selection.parts());
        for different in &[empty, other, HeaderMap::new()] {
            let different = for_request(different);
            assert_ne!(different.parts(), selection.parts());
        }
    }

    #[test]
    fn an_answer_for_one_request_alone_is_selected_by_no_other() {
        let request = HeaderMap::new();

        for vary in ["*", "accept, *", "a b"] {
            assert_eq!(
                Selection::of(&headers(&[("vary", vary)]), &request),
                None,
                "{vary}"
            );
        }
        let plain = Selection::of(&headers(&[("vary", " ,")]), &request).unwrap();
        assert_eq!(plain.parts(), Vec::<&[u8]>::new());
    }
}
