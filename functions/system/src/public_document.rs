//! A document that is the same for everybody until the next release: any cache may keep it, and
//! asks by its entity tag whether it has changed (RFC 9110, section 13.1.2).

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(crate) struct PublicDocument {
    content_type: HeaderValue,
    etag: String,
    body: Bytes,
}

impl PublicDocument {
    pub(crate) fn new(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = digest(&SHA256, &body);
        // 128 of the bits tell any two documents apart.
        let etag = format!(
            "\"{}\"",
            BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
        );
        Self {
            content_type,
            etag,
            body,
        }
    }

    /// The document, or that the one the client has is still it.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let caching = [(ETAG, self.etag_header()), (CACHE_CONTROL, FIVE_MINUTES)];
        if self.is_at_hand(request) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (
            caching,
            [(CONTENT_TYPE, self.content_type.clone())],
            self.body.clone(),
        )
            .into_response()
    }

    fn etag_header(&self) -> HeaderValue {
        #[expect(clippy::expect_used, reason = "base64 within quotes")]
        HeaderValue::from_str(&self.etag).expect("an entity tag of ours is visible ASCII")
    }

    /// Compares weakly, as `If-None-Match` does: a proxy that compressed the answer has marked
    /// the tag with `W/`.
    fn is_at_hand(&self, request: &HeaderMap) -> bool {
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> PublicDocument {
        PublicDocument::new(HeaderValue::from_static("text/plain"), "text")
    }

    fn status_for(tag: &str) -> StatusCode {
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap());
        document().answer(&request).status()
    }

    #[test]
    fn a_client_that_has_the_document_is_not_sent_it_again() {
        let etag = document().etag;

        for tag in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"other\" , {etag}"),
            "*".into(),
        ] {
            assert_eq!(status_for(&tag), StatusCode::NOT_MODIFIED, "{tag}");
        }
    }

    #[test]
    fn a_client_that_has_another_document_is_sent_this_one() {
        let unquoted = document().etag.replace('"', "");

        for tag in ["\"other\"", "W/\"other\"", "", ",", &unquoted] {
            assert_eq!(status_for(tag), StatusCode::OK, "{tag}");
        }
    }

    #[test]
    fn the_tag_is_strong_and_changes_with_the_document() {
        let other = PublicDocument::new(HeaderValue::from_static("text/plain"), "Text");

        assert!(document().etag.starts_with('"'));
        assert_ne!(document().etag, other.etag);
    }
}
