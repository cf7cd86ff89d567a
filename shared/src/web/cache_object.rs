//! The cache, as the API shows it, and what is asked to be cleared of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{Errors, given};
use crate::cache::{CacheName, CacheStatistics, CacheTag, Invalidation, TierStatistics};
use crate::errors::{FieldError, Problem};

/// How many tags one request names at most.
const MAX_TAGS: usize = 50;
/// How many characters a prefix has at most.
const MAX_PREFIX_CHARS: usize = 1_000;

/// How the cache has done in the last 24 hours.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheStats)]
pub struct CacheStatsBody {
    /// From the nearest to the farthest.
    tiers: Vec<CacheTierObject>,
    /// The share of lookups that a tier answered, from 0 to 1; 0 if there were none.
    #[schema(example = 0.95)]
    hit_ratio: f64,
}

/// A tier, and what was asked of it.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheTier)]
pub struct CacheTierObject {
    /// `memory`, `valkey` or `dynamodb`.
    #[schema(example = "memory")]
    name: &'static str,
    /// Lookups that it answered.
    #[schema(example = 950)]
    hits: u64,
    /// Lookups that it was asked for and did not answer.
    #[schema(example = 50)]
    misses: u64,
    /// Entries that were put there.
    #[schema(example = 50)]
    fills: u64,
    /// How many bytes it holds at most: what was put there within the lifetime of its entries and since
    /// everything was cleared.
    #[schema(example = 51_200)]
    bytes: u64,
    /// How many entries it holds at most.
    #[schema(example = 50)]
    entries: u64,
    /// Whether it can be reached.
    available: bool,
}

impl From<&TierStatistics> for CacheTierObject {
    fn from(tier: &TierStatistics) -> Self {
        Self {
            name: tier.tier.as_str(),
            hits: tier.counts.hits,
            misses: tier.counts.misses,
            fills: tier.counts.fills,
            bytes: tier.bytes,
            entries: tier.entries,
            available: tier.is_available,
        }
    }
}

impl From<&CacheStatistics> for CacheStatsBody {
    fn from(statistics: &CacheStatistics) -> Self {
        Self {
            tiers: statistics.tiers.iter().map(CacheTierObject::from).collect(),
            hit_ratio: statistics.hit_ratio,
        }
    }
}

/// What is to be cleared: what carries one of the tags, and what lies under the prefix. Without either,
/// everything.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvalidationRequest {
    /// Such as `upstream:library`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_items = 1, max_items = 50, example = json!(["upstream:library"]))]
    tags: Option<Vec<String>>,
    /// Whole segments of entries' names, such as `query/library` or `proxy/library/books`.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 1000,
        example = "query/library"
    )]
    prefix: Option<String>,
}

impl InvalidationRequest {
    pub fn parse(self) -> Result<Invalidation, Problem> {
        let mut errors = Errors::default();
        let tags = errors.all(tags(self.tags));
        let prefix = errors.one(self.prefix.as_deref().map(prefix).transpose());
        match (tags, prefix) {
            (Some(tags), Some(prefix)) => Ok(Invalidation { tags, prefix }),
            _ => Err(errors.into_problem()),
        }
    }
}

fn tags(texts: Option<Vec<String>>) -> Result<Vec<CacheTag>, Vec<FieldError>> {
    let Some(texts) = texts else {
        return Ok(vec![]);
    };
    let told = |code, detail| Err(vec![FieldError::new("tags", code, detail)]);
    match texts.len() {
        0 => return told("too-short", "Name at least one tag, or leave tags out."),
        1..=MAX_TAGS => {}
        _ => return told("too-long", "At most 50 tags can be named."),
    }
    let mut errors = Errors::default();
    let parse = |(index, text): (usize, &String)| {
        let field = format!("tags.{index}");
        let detail = "A tag has 1 to 128 characters and no control characters.";
        let tag = text.parse();
        tag.map_err(|_| FieldError::new(field, "invalid", detail))
    };
    let parsed: Vec<_> = texts.iter().enumerate().map(parse).collect();
    let tags: Vec<_> = parsed
        .into_iter()
        .filter_map(|tag| errors.one(tag))
        .collect();
    if errors.is_empty() {
        Ok(tags)
    } else {
        Err(errors.into_errors())
    }
}

fn prefix(text: &str) -> Result<CacheName, FieldError> {
    let told = |code, detail| Err(FieldError::new("prefix", code, detail));
    let name = CacheName::of(text);
    match text.chars().count() {
        _ if name.is_empty() => told("too-short", "A prefix has at least one segment."),
        ..=MAX_PREFIX_CHARS => Ok(name),
        _ => told("too-long", "A prefix has at most 1,000 characters."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(body: serde_json::Value) -> Result<Invalidation, Problem> {
        let request: InvalidationRequest = serde_json::from_value(body).unwrap();
        request.parse()
    }

    #[test]
    fn what_is_named_is_cleared_and_nothing_named_is_everything() {
        let named = parsed(json!({"tags": ["upstream:library"], "prefix": "/query/library/"}));

        let named = named.unwrap();
        assert_eq!(named.tags, [CacheTag::of_upstream("library")]);
        assert_eq!(named.prefix, Some(CacheName::of("query/library")));
        assert_eq!(parsed(json!({})).unwrap(), Invalidation::everything());
    }

    #[test]
    fn what_names_nothing_or_too_much_is_refused() {
        let cases = [
            json!({"tags": []}),
            json!({"tags": [""]}),
            json!({"tags": ["a\u{0}"]}),
            json!({"tags": vec!["a"; 51]}),
            json!({"prefix": ""}),
            json!({"prefix": "//"}),
            json!({"prefix": "x".repeat(1_001)}),
        ];

        for case in cases {
            assert!(parsed(case.clone()).is_err(), "{case}");
        }
    }
}
