//! An answer as the cache keeps it: its head in a form of our own, with a version, and its body as it
//! came.
//!
//! The bytes come from outside of the process. Whatever they are, reading them gives an entry or
//! nothing.

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use turnpike_shared::clock::Timestamp;

/// The form of the bytes. What has another is no entry.
const VERSION: u8 = 1;

/// An answer of an upstream, and how it came to be here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) status: StatusCode,
    /// Those that pass to clients.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The headers that it was chosen by, as they were asked with.
    pub(super) selecting: HeaderMap,
    /// When it was asked for: its age is counted from then on, so the time that the upstream took is
    /// in it.
    pub(super) requested_at: Timestamp,
    /// Whether anybody but who asked may have it.
    pub(super) is_reusable: bool,
    /// What the upstream answered last, which need not be the answer: a 304 is not, nor is an error
    /// that an older answer stands in for.
    pub(crate) upstream_status: StatusCode,
}

#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    upstream_status: u16,
    is_reusable: bool,
    requested_at_millis: i64,
    headers: Fields,
    selecting: Fields,
}

type Fields = Vec<(String, ByteBuf)>;

impl Entry {
    pub(crate) fn encode(&self) -> Bytes {
        let head = Head {
            status: self.status.as_u16(),
            upstream_status: self.upstream_status.as_u16(),
            is_reusable: self.is_reusable,
            requested_at_millis: self.requested_at.millis(),
            headers: fields(&self.headers),
            selecting: fields(&self.selecting),
        };
        // Numbers and bytes cannot fail to be written into memory; nothing is what nobody can read.
        let mut bytes = postcard::to_extend(&head, vec![VERSION]).unwrap_or_default();
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    /// `None` if these bytes are none, or of another version.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (head, body) = postcard::take_from_bytes::<Head>(rest).ok()?;
        Some(Self {
            status: StatusCode::from_u16(head.status).ok()?,
            upstream_status: StatusCode::from_u16(head.upstream_status).ok()?,
            headers: header_map(head.headers)?,
            selecting: header_map(head.selecting)?,
            requested_at: Timestamp::from_millis(head.requested_at_millis),
            is_reusable: head.is_reusable,
            body: bytes.slice_ref(body),
        })
    }
}

fn fields(headers: &HeaderMap) -> Fields {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), ByteBuf::from(value.as_bytes()))
    };
    headers.iter().map(field).collect()
}

fn header_map(fields: Fields) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(&value).ok()?;
        headers.append(name.parse::<HeaderName>().ok()?, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let mut headers = HeaderMap::new();
        headers.append("link", HeaderValue::from_static("<a>"));
        headers.append("link", HeaderValue::from_static("<b>"));
        headers.append("etag", HeaderValue::from_bytes(b"\"\xfc\"").unwrap());
        Entry {
            status: StatusCode::NOT_FOUND,
            headers,
            body: Bytes::from_static(b"\0not there\xff"),
            selecting: HeaderMap::from_iter([(
                HeaderName::from_static("accept"),
                HeaderValue::from_static("text/html"),
            )]),
            requested_at: Timestamp::from_millis(1_795_207_396_042),
            is_reusable: true,
            upstream_status: StatusCode::NOT_MODIFIED,
        }
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        let with_nothing = Entry {
            headers: HeaderMap::new(),
            selecting: HeaderMap::new(),
            body: Bytes::new(),
            is_reusable: false,
            ..entry()
        };

        for entry in [entry(), with_nothing] {
            assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }
    }

    #[test]
    fn other_bytes_are_no_entry() {
        let good = entry().encode();
        let other_version = [&[VERSION + 1], &good[1..]].concat();
        let no_name = Entry {
            selecting: HeaderMap::new(),
            ..entry()
        };
        let no_name = String::from_utf8_lossy(&no_name.encode()).replace("link", "li k");

        assert_eq!(Entry::decode(&other_version.into()), None);
        assert_eq!(Entry::decode(&no_name.into_bytes().into()), None);
        for length in 0..good.len() - entry().body.len() {
            assert_eq!(Entry::decode(&good.slice(..length)), None, "{length} bytes");
        }
    }
}
