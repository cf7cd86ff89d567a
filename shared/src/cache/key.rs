//! What an entry is found by: its owner, a name below which prefixes are cleared, tags, and the
//! digest of what was asked for.
//!
//! Where the entry then lies in a tier is the tier's own affair.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use aws_lc_rs::digest;

use crate::ids::UserId;

/// How many segments a name has at most; what is deeper is cleared with its ancestor.
const MAX_SEGMENTS: usize = 8;
/// How many characters a tag has at most.
const MAX_TAG: usize = 128;

/// Whose an entry is. Nobody meets the entries of another owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CacheOwner {
    User(UserId),
    /// Everybody, of an upstream that the policy declares shared. Admins alone clear these.
    Shared,
}

impl fmt::Display for CacheOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Shared => f.write_str("shared"),
        }
    }
}

/// Where an entry stands among its owner's, such as `proxy/library/books`: segments, of which any
/// number from the left is a prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CacheName(String);

impl CacheName {
    /// The name that a path spells. Empty segments say nothing and are left out; of a path with more
    /// than eight the first eight are the name.
    pub fn of(path: &str) -> Self {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let kept: Vec<&str> = segments.take(MAX_SEGMENTS).collect();
        Self(kept.join("/"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names nothing: then it is a prefix of every name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that it lies under, itself included.
    fn prefixes(&self) -> impl Iterator<Item = &str> {
        let ends = self.0.match_indices('/').map(|(end, _)| end);
        let ends = ends.chain((!self.is_empty()).then_some(self.0.len()));
        ends.map(|end| &self.0[..end])
    }
}

/// What entries have in common across names, such as `upstream:library`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CacheTag(String);

/// What stands where a tag should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tag: 1 to 128 characters without control characters")]
pub struct InvalidTag;

impl CacheTag {
    /// What all entries of a user carry.
    pub fn of_user(user: UserId) -> Self {
        Self(format!("user:{user}"))
    }

    pub fn of_upstream(name: &str) -> Self {
        Self(format!("upstream:{name}"))
    }

    /// What the answers of one address carry, by a digest of it: addresses are longer than tags.
    pub fn of_target(digest: &[u8; 32]) -> Self {
        let mut text = "target:".to_owned();
        for byte in &digest[..16] {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The user whose entries carry it, if it is such a tag.
    pub fn user(&self) -> Option<UserId> {
        self.0.strip_prefix("user:")?.parse().ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CacheTag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let is_of_a_length = (1..=MAX_TAG).contains(&text.chars().count());
        if is_of_a_length && !text.contains(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTag)
        }
    }
}

/// What an entry is found by.
#[derive(Clone, Debug)]
pub struct CacheKey {
    pub owner: CacheOwner,
    pub name: CacheName,
    /// What it is cleared by besides its name. All entries of a user carry the user's own tag
    /// without being told to.
    pub tags: Vec<CacheTag>,
    /// SHA-256 of the canonical parameters: all that tells one answer from another.
    pub digest: [u8; 32],
}

impl CacheKey {
    pub(crate) fn id(&self) -> EntryId {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [&*self.owner.to_string(), self.name.as_str()] {
            context.update(part.as_bytes());
            context.update(b"\0");
        }
        context.update(&self.digest);
        EntryId(bytes_of(&context.finish()))
    }

    /// What it is cleared by, as generations know it.
    pub(crate) fn labels(&self) -> Vec<Label> {
        let tags = self.tags.iter().map(Label::of_tag);
        let prefixes = self.name.prefixes().map(Label::of_prefix);
        tags.chain(prefixes).collect()
    }
}

/// A key as the tiers know it: a digest of owner, name and parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct EntryId([u8; 32]);

impl EntryId {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A tag or prefix in eight bytes of its digest. Two that share them are cleared together, which
/// costs a computation and shows nothing to anybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Label(pub(crate) u64);

impl Label {
    pub(super) fn of_tag(tag: &CacheTag) -> Self {
        Self::of("tag", tag.as_str())
    }

    pub(super) fn of_prefix(prefix: &str) -> Self {
        Self::of("prefix", prefix)
    }

    fn of(kind: &str, text: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, format!("{kind}\0{text}").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_ref()[..8]);
        Self(u64::from_be_bytes(first))
    }
}

fn bytes_of(digest: &digest::Digest) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn key(owner: CacheOwner, name: &str) -> CacheKey {
        CacheKey {
            owner,
            name: CacheName::of(name),
            tags: vec![],
            digest: [7; 32],
        }
    }

    #[test]
    fn a_name_lies_under_each_of_its_beginnings_and_under_nothing_else() {
        let name = CacheName::of("/proxy//library/books/");

        let prefixes: Vec<&str> = name.prefixes().collect();

        assert_eq!(prefixes, ["proxy", "proxy/library", "proxy/library/books"]);
        assert_eq!(CacheName::of("//").prefixes().count(), 0);
    }

    #[test]
    fn a_deep_name_ends_at_its_eighth_segment() {
        assert_eq!(
            CacheName::of("1/2/3/4/5/6/7/8/9/10").as_str(),
            "1/2/3/4/5/6/7/8"
        );
    }

    #[test]
    fn keys_of_different_owners_names_and_parameters_differ() {
        let user = |millis| CacheOwner::User(UserId::new(Timestamp::from_millis(millis)));
        let one = key(user(1), "query/library");
        let other_parameters = CacheKey {
            digest: [8; 32],
            ..one.clone()
        };

        let all = [
            one.id(),
            key(user(1), "query/library").id(),
            key(CacheOwner::Shared, "query/library").id(),
            key(one.owner, "query/librar").id(),
            other_parameters.id(),
        ];

        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(one.id(), one.clone().id());
    }

    #[test]
    fn a_tag_and_a_prefix_of_the_same_spelling_are_different_labels() {
        let tag = "library".parse().unwrap();

        assert_ne!(Label::of_tag(&tag), Label::of_prefix("library"));
    }

    #[test]
    fn a_tag_of_a_user_names_that_user() {
        let user = UserId::new(Timestamp::from_millis(1));

        assert_eq!(CacheTag::of_user(user).user(), Some(user));
        assert_eq!(CacheTag::of_upstream("library").user(), None);
        for text in ["", "a\nb", &"x".repeat(129)] {
            assert_eq!(text.parse::<CacheTag>(), Err(InvalidTag), "{text:?}");
        }
    }
}
