//! Items of content and of where it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{json_text, user_pk};
use crate::clock::Timestamp;
use crate::content::{Content, ContentHash, InvalidLocation, Location, LocationId, References};
use crate::ids::UserId;

pub(crate) const LOCATION_SK: &str = "LOCATION";
pub(crate) const CONTENT_SK: &str = "CONTENT";

pub(crate) fn location_pk(id: &LocationId) -> String {
    format!("LOCATION#{id}")
}

pub(crate) fn content_pk(hash: &ContentHash) -> String {
    format!("CONTENT#{hash}")
}

pub(crate) fn put_by_sk(id: &LocationId) -> String {
    format!("LOCATION#{id}")
}

/// When the items of a location may be removed.
fn ttl_of(location: &Location) -> Option<i64> {
    let expiry = location.expires_at()?;
    Some(expiry.plus(Duration::from_millis(999)).seconds())
}

/// A location with content.
#[derive(Serialize, Deserialize)]
pub(crate) struct LocationItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: String,
    pub(crate) content_hash: ContentHash,
    pub(crate) put_by: UserId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ttl_seconds: Option<u64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// What tells this from what was there before and comes after.
    pub(crate) version: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ttl: Option<i64>,
}

impl From<&Location> for LocationItem {
    fn from(location: &Location) -> Self {
        Self {
            pk: location_pk(&location.id),
            sk: LOCATION_SK.to_owned(),
            id: location.id.to_string(),
            content_hash: location.content_hash.clone(),
            put_by: location.put_by,
            ttl_seconds: location.ttl.map(|ttl| ttl.as_secs()),
            created_at: location.created_at.millis(),
            updated_at: location.updated_at.millis(),
            version: location.version(),
            ttl: ttl_of(location),
        }
    }
}

impl TryFrom<LocationItem> for Location {
    type Error = InvalidLocation;

    fn try_from(item: LocationItem) -> Result<Self, InvalidLocation> {
        Ok(Self {
            id: item.id.parse()?,
            content_hash: item.content_hash,
            put_by: item.put_by,
            ttl: item.ttl_seconds.map(Duration::from_secs),
            created_at: Timestamp::from_millis(item.created_at),
            updated_at: Timestamp::from_millis(item.updated_at),
        })
    }
}

/// That a user put content at a location, so that it is found from the user.
#[derive(Serialize, Deserialize)]
pub(crate) struct PutByItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) location_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ttl: Option<i64>,
}

impl From<&Location> for PutByItem {
    fn from(location: &Location) -> Self {
        Self {
            pk: user_pk(location.put_by),
            sk: put_by_sk(&location.id),
            location_id: location.id.to_string(),
            ttl: ttl_of(location),
        }
    }
}

/// A piece of content.
#[derive(Serialize, Deserialize)]
pub(crate) struct ContentItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    #[serde(with = "json_text")]
    pub(crate) content: Content,
    pub(crate) references: u64,
    pub(crate) unlimited: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) kept_until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ttl: Option<i64>,
}

impl ContentItem {
    pub(crate) fn new(hash: &ContentHash, content: &Content, references: References) -> Self {
        Self {
            pk: content_pk(hash),
            sk: CONTENT_SK.to_owned(),
            content: content.clone(),
            references: references.count,
            unlimited: references.unlimited,
            kept_until: references.until,
            ttl: references.expires_at(),
        }
    }

    pub(crate) fn references(&self) -> References {
        References {
            count: self.references,
            unlimited: self.unlimited,
            until: self.kept_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content::Lifetime;
    use crate::stores::{from_item, to_item};

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn content() -> Content {
        Content {
            content_type: "article".to_owned(),
            source_apis: vec!["library".to_owned(), "press".to_owned()],
            quality_score: 0.1,
            metadata: json!({"z": [1e300, u64::MAX], "a": null})
                .as_object()
                .unwrap()
                .clone(),
        }
    }

    #[test]
    fn a_location_reads_back_as_it_was_put_and_is_not_removed_before_it_expires() {
        let expiring = Location {
            id: "trail:42".parse().unwrap(),
            content_hash: content().hash(),
            put_by: UserId::new(NOW),
            ttl: Some(Duration::from_mins(1)),
            created_at: NOW,
            updated_at: NOW,
        };
        let lasting = Location {
            ttl: None,
            ..expiring.clone()
        };

        for (location, ttl) in [(expiring, Some(1_795_207_457)), (lasting, None)] {
            let item = to_item(LocationItem::from(&location)).unwrap();

            let read: LocationItem = from_item(item).unwrap();
            assert_eq!(read.pk, "LOCATION#trail:42");
            assert_eq!((read.ttl, &read.version), (ttl, &location.version()));
            assert_eq!(Location::try_from(read), Ok(location.clone()));
            let item = to_item(PutByItem::from(&location)).unwrap();
            let read: PutByItem = from_item(item).unwrap();
            assert_eq!(read.pk, format!("USER#{}", location.put_by));
            assert_eq!((read.sk.as_str(), read.ttl), ("LOCATION#trail:42", ttl));
        }
    }

    #[test]
    fn content_reads_back_with_its_hash_and_its_references() {
        let references = References::default()
            .with(Lifetime::Until(NOW))
            .with(Lifetime::Unlimited);
        let hash = content().hash();

        let item = to_item(ContentItem::new(&hash, &content(), references)).unwrap();

        let read: ContentItem = from_item(item).unwrap();
        assert_eq!(read.pk, format!("CONTENT#{hash}"));
        assert_eq!((read.references(), read.ttl), (references, None));
        assert_eq!(read.content.hash(), hash);
    }
}
