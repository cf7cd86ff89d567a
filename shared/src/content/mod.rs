//! Content: what is kept at a location, for everybody who may read.
//!
//! Rules without I/O: what a location and its content are, when it is gone, and how long a piece of
//! content that several locations share has to be kept. What the fields mean is the product's own
//! matter.

mod references;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::UserId;

pub use references::{Lifetime, References};

const MAX_ID_BYTES: usize = 256;

/// The name of a place for content: 1 to 256 of `A-Z a-z 0-9 - . _ ~ : @`, and not `.` or `..`, which
/// clients take out of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct LocationId(String);

impl LocationId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands where a location's name should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a location")]
pub struct InvalidLocation;

impl FromStr for LocationId {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
        let is_name = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(is_of_names);
        if is_name && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLocation)
        }
    }
}

/// A piece of content. It is the same wherever its members are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Content {
    pub content_type: String,
    pub source_apis: Vec<String>,
    pub quality_score: f64,
    pub metadata: Map<String, Value>,
}

impl Content {
    /// The content as JSON without spaces, the members of every object in the order of their names.
    pub fn canonical(&self) -> String {
        let mut value = serde_json::json!({
            "content_type": self.content_type,
            "source_apis": self.source_apis,
            "quality_score": self.quality_score,
            "metadata": self.metadata,
        });
        value.sort_all_objects();
        value.to_string()
    }

    pub fn hash(&self) -> ContentHash {
        ContentHash(hex_of(
            digest(&SHA256, self.canonical().as_bytes()).as_ref(),
        ))
    }
}

/// The SHA-256 of content's canonical form, in hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ContentHash(String);

impl ContentHash {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A location at which there is content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    pub id: LocationId,
    pub content_hash: ContentHash,
    /// Who put it there last.
    pub put_by: UserId,
    /// How long after it was put the content is gone; `None` is never.
    pub ttl: Option<Duration>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Location {
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.ttl.map(|ttl| self.updated_at.plus(ttl))
    }

    /// Whether the content is still there.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at().is_none_or(|expiry| now < expiry)
    }

    pub fn lifetime(&self) -> Lifetime {
        self.expires_at()
            .map_or(Lifetime::Unlimited, Lifetime::Until)
    }

    /// What tells this from anything else that was ever shown of the location (RFC 9110, section
    /// 8.8.1: a strong validator): the hash of all that is shown.
    pub fn version(&self) -> String {
        let shown = format!(
            "{}\0{}\0{}\0{}\0{:?}",
            self.id,
            self.content_hash,
            self.created_at.millis(),
            self.updated_at.millis(),
            self.ttl,
        );
        let digest = digest(&SHA256, shown.as_bytes());
        let mut version = hex_of(digest.as_ref());
        version.truncate(32);
        version
    }
}

fn hex_of(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(metadata: &str) -> Content {
        Content {
            content_type: "article".to_owned(),
            source_apis: vec!["library".to_owned()],
            quality_score: 1.0,
            metadata: serde_json::from_str(metadata).unwrap(),
        }
    }

    #[test]
    fn the_order_of_members_does_not_make_content_another() {
        let one = content(r#"{"b": {"y": 1, "x": [{"q": 1, "p": 2}]}, "a": 2}"#);
        let other = content(r#"{"a": 2, "b": {"x": [{"p": 2, "q": 1}], "y": 1}}"#);

        assert_eq!(one.hash(), other.hash());
        assert_eq!(
            one.canonical(),
            r#"{"content_type":"article","metadata":{"a":2,"b":{"x":[{"p":2,"q":1}],"y":1}},"quality_score":1.0,"source_apis":["library"]}"#
        );
        // sha256sum of the text above.
        assert_eq!(one.hash().as_str().len(), 64);
    }

    #[test]
    fn every_member_and_the_order_of_a_list_make_content_another() {
        let one = content(r#"{"a": [1, 2]}"#);
        let others = [
            content(r#"{"a": [2, 1]}"#),
            content(r#"{"a": [1, 2.5]}"#),
            content("{}"),
            Content {
                content_type: "other".to_owned(),
                ..one.clone()
            },
            Content {
                source_apis: vec![],
                ..one.clone()
            },
            Content {
                quality_score: 0.5,
                ..one.clone()
            },
            // Beyond what a double can tell apart.
            content(r#"{"a": 9007199254740993}"#),
            content(r#"{"a": 9007199254740992}"#),
        ];

        let mut hashes: Vec<ContentHash> = others.iter().map(Content::hash).collect();
        hashes.push(one.hash());
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), others.len() + 1);
    }

    #[test]
    fn canonical_content_reads_back_as_itself() {
        let content = content(r#"{"deep": [{"n": 1e300}, 18446744073709551615, "ü\u0000"]}"#);

        let read: Content = serde_json::from_str(&content.canonical()).unwrap();

        assert_eq!(json!(read), json!(content));
        assert_eq!(read.hash(), content.hash());
    }

    #[test]
    fn a_name_of_a_location_stays_within_a_path_segment() {
        for good in ["a", "0", "trail:42", "A-b.c_d~e@f", &"x".repeat(256)] {
            assert_eq!(good.parse::<LocationId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a b", "ü", "a#b", &"x".repeat(257)] {
            assert_eq!(bad.parse::<LocationId>(), Err(InvalidLocation), "{bad:?}");
        }
    }
}
