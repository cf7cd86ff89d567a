//! Generations: what makes an invalidation cost the same however many entries it ends.
//!
//! Every invalidation of an owner's entries has a number, higher than all before. An entry knows
//! the number that was newest before its computation began. It is dead when a later one has gone
//! for everything, for one of its tags or for a prefix of its name. So an invalidation touches no
//! entry, and one that falls into a computation ends what comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::{CacheName, CacheOwner, CacheTag, Label};
use crate::clock::Timestamp;

/// How many tags and prefixes are told apart. Of more, everything is cleared instead.
const MAX_LABELS: usize = 128;
/// How long an invalidation is remembered: no entry lives for longer than a day after it was
/// computed, and no computation takes two hours.
const REMEMBERED: Duration = Duration::from_hours(26);
/// The form of the bytes.
const VERSION: u8 = 1;

/// What is to be invalidated of an owner's entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Invalidation {
    /// What carries one of these.
    pub tags: Vec<CacheTag>,
    /// And what lies under this.
    pub prefix: Option<CacheName>,
}

impl Invalidation {
    /// Of all entries.
    pub fn everything() -> Self {
        Self::default()
    }

    /// What it means within one owner's entries: a user's own tag is on all of them.
    #[must_use]
    pub(crate) fn within(self, owner: CacheOwner) -> Self {
        let is_on_all = |tag: &CacheTag| match owner {
            CacheOwner::User(user) => tag.user() == Some(user),
            CacheOwner::Shared => false,
        };
        if self.tags.iter().any(is_on_all) {
            Self::everything()
        } else {
            self
        }
    }

    /// What it means to an admin: tags of users go for all of those users' entries, everything else
    /// for what is shared.
    pub(crate) fn by_owner(&self) -> Vec<(CacheOwner, Self)> {
        let (of_users, tags): (Vec<_>, Vec<_>) = self
            .tags
            .iter()
            .cloned()
            .partition(|tag| tag.user().is_some());
        let users: BTreeSet<_> = of_users.iter().filter_map(CacheTag::user).collect();
        let of_user = |user| (CacheOwner::User(user), Self::everything());
        let mut by_owner: Vec<_> = users.into_iter().map(of_user).collect();
        let shared = Self {
            tags,
            prefix: self.prefix.clone(),
        };
        let names_users_alone = shared.tags.is_empty() && shared.prefix.is_none();
        if by_owner.is_empty() || !names_users_alone {
            by_owner.push((CacheOwner::Shared, shared));
        }
        by_owner
    }

    fn is_of_everything(&self) -> bool {
        let names_everything = self.prefix.as_ref().is_some_and(CacheName::is_empty);
        names_everything || self.tags.is_empty() && self.prefix.is_none()
    }

    fn labels(&self) -> impl Iterator<Item = Label> {
        let tags = self.tags.iter().map(Label::of_tag);
        let prefix = self.prefix.iter().map(CacheName::as_str);
        tags.chain(prefix.map(Label::of_prefix))
    }
}

/// The invalidations of an owner's entries that still matter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Generations {
    /// The number of the newest.
    number: u64,
    /// The number of the newest that went for everything.
    everything: u64,
    /// The newest of each tag and prefix.
    raised: BTreeMap<u64, u64>,
}

impl Generations {
    /// What an entry has to remember whose computation begins now.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The number of the newest invalidation of everything.
    pub(crate) fn everything(&self) -> u64 {
        self.everything
    }

    /// Whether an entry that was computed under `number` still holds.
    pub(crate) fn admit(&self, number: u64, labels: &[Label]) -> bool {
        // A higher one has been seen and lost, and nobody knows what for.
        let is_known = number <= self.number;
        let was_raised = |label: &Label| {
            let raised = self.raised.get(&label.0);
            raised.is_some_and(|raised| *raised > number)
        };
        is_known && self.everything <= number && !labels.iter().any(was_raised)
    }

    /// What they are after an invalidation. Its number is the time, or the next after the newest
    /// where that is not behind, so that a number also tells when it is of no more use.
    #[must_use]
    pub(crate) fn raised(&self, what: &Invalidation, now: Timestamp) -> Self {
        let time = |at: Timestamp| u64::try_from(at.millis()).unwrap_or(0);
        let number = time(now).max(self.number + 1);
        let mut next = Self {
            number,
            ..self.clone()
        };
        next.raised
            .retain(|_, raised| *raised > time(now.minus(REMEMBERED)));
        if !what.is_of_everything() {
            next.raised
                .extend(what.labels().map(|label| (label.0, number)));
        }
        if what.is_of_everything() || next.raised.len() > MAX_LABELS {
            next.everything = number;
            next.raised.clear();
        }
        next
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let encoded = postcard::to_extend(self, vec![VERSION]);
        // Numbers and a map cannot fail to be written into memory.
        encoded.unwrap_or_default()
    }

    /// `None` if these bytes are none, or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (generations, rest) = postcard::take_from_bytes(rest).ok()?;
        (*version == VERSION && rest.is_empty()).then_some(generations)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn tag(name: &str) -> CacheTag {
        name.parse().unwrap()
    }

    fn of_tag(name: &str) -> Invalidation {
        Invalidation {
            tags: vec![tag(name)],
            prefix: None,
        }
    }

    fn labels(tags: &[&str]) -> Vec<Label> {
        tags.iter().map(|name| Label::of_tag(&tag(name))).collect()
    }

    #[test]
    fn an_invalidation_ends_what_was_computed_before_it_and_nothing_else() {
        let before = Generations::default();

        let after = before.raised(&of_tag("a"), T);

        assert!(!after.admit(before.number(), &labels(&["b", "a"])));
        assert!(after.admit(before.number(), &labels(&["b"])));
        assert!(after.admit(after.number(), &labels(&["a"])));
        assert!(before.admit(before.number(), &labels(&["a"])));
    }

    #[test]
    fn two_invalidations_of_one_moment_have_different_numbers() {
        let first = Generations::default().raised(&of_tag("a"), T);

        let second = first.raised(&of_tag("a"), T);

        assert!(!second.admit(first.number(), &labels(&["a"])));
    }

    #[test]
    fn an_entry_of_a_lost_generation_is_not_believed() {
        let lost = Generations::default().raised(&of_tag("a"), T);

        assert!(!Generations::default().admit(lost.number(), &labels(&["b"])));
    }

    #[test]
    fn too_many_tags_clear_everything_and_the_form_stays_small() {
        let mut generations = Generations::default();
        let mut longest = 0;

        for number in 0..=MAX_LABELS {
            generations = generations.raised(&of_tag(&number.to_string()), T);
            longest = longest.max(generations.encode().len());
        }

        assert!(!generations.admit(generations.number() - 1, &labels(&["other"])));
        assert!(generations.raised.is_empty());
        // Less than what DynamoDB reads for one unit.
        assert!(longest < 3_000, "{longest}");
    }

    #[test]
    fn what_no_living_entry_can_remember_is_forgotten() {
        let first = Generations::default().raised(&of_tag("a"), T);

        let later = first.raised(&of_tag("b"), T.plus(REMEMBERED));

        assert_eq!(later.raised.len(), 1);
    }

    #[test]
    fn an_empty_prefix_names_everything() {
        let what = Invalidation {
            tags: vec![],
            prefix: Some(CacheName::of("/")),
        };

        let after = Generations::default().raised(&what, T);

        assert!(!after.admit(0, &[]));
    }

    #[test]
    fn other_bytes_are_not_generations() {
        let good = Generations::default().raised(&of_tag("a"), T).encode();

        assert!(Generations::decode(&good).is_some());
        assert!(Generations::decode(&[]).is_none());
        assert!(Generations::decode(&good[..good.len() - 1]).is_none());
        assert!(Generations::decode(&[&[VERSION + 1], &good[1..]].concat()).is_none());
        assert!(Generations::decode(&[&good[..], &[0]].concat()).is_none());
    }

    proptest! {
        #[test]
        fn they_read_back_as_they_were_written(
            names in proptest::collection::vec("[a-z]{1,8}", 0..10),
            millis in 0_i64..2_000_000_000_000,
        ) {
            let mut generations = Generations::default();
            for name in names {
                generations = generations.raised(&of_tag(&name), Timestamp::from_millis(millis));
            }

            prop_assert_eq!(Generations::decode(&generations.encode()), Some(generations));
        }
    }
}
