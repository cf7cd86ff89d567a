//! Going through the chain: the first entry that does not follow from those before it.
//!
//! It is given what lies in the log, in order, and decides; it remembers only where it is.

use super::chain::{ChainKey, Head, Link};
use crate::ids::AuditId;

/// What became of a verification that came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// How many entries there are, from the first on, that are what they were and where they were.
    pub entries: u64,
    pub broken: Option<Broken>,
}

/// The log is not as it was written from some entry on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken {
    /// An entry that was altered, moved or forged; where one is missing, the entry behind the gap;
    /// where the end is missing or its seal is not good, the last entry that is left. `None` when
    /// there is none that could be named.
    pub at: Option<AuditId>,
}

/// How far the chain has been gone through. All of it up to here holds.
#[derive(Clone, Debug)]
pub struct Verification {
    reached: Head,
    last: Option<AuditId>,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            reached: Head::START,
            last: None,
        }
    }
}

impl Verification {
    /// Goes on behind an entry that was verified before.
    pub fn behind(link: &Link) -> Self {
        Self {
            reached: link.as_head(),
            last: link.id(),
        }
    }

    /// The end of what holds.
    pub fn reached(&self) -> Head {
        self.reached
    }

    /// Takes what lies next in the log; `None` is something that cannot be read as an entry.
    pub fn next(&mut self, key: &ChainKey, link: Option<&Link>) -> Result<(), Verdict> {
        let Some(link) = link else {
            return Err(self.broken_behind_the_last());
        };
        let follows = link.sequence == self.reached.count + 1 && link.previous == self.reached.hash;
        if follows && key.made(link) {
            self.reached = link.as_head();
            self.last = link.id();
            Ok(())
        } else {
            Err(self.broken_at(link.id()))
        }
    }

    /// The verdict when all is sound.
    pub fn sound(&self) -> Verdict {
        Verdict {
            entries: self.reached.count,
            broken: None,
        }
    }

    /// The verdict when an entry is not as it was written.
    pub fn broken_at(&self, entry: Option<AuditId>) -> Verdict {
        Verdict {
            entries: self.reached.count,
            broken: Some(Broken {
                at: entry.or(self.last),
            }),
        }
    }

    /// The verdict when what should follow the last entry is not there.
    pub fn broken_behind_the_last(&self) -> Verdict {
        self.broken_at(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::chain::tests::key;
    use crate::clock::Timestamp;

    fn ids(count: u64) -> Vec<AuditId> {
        let id = |n| AuditId::new(Timestamp::from_millis(i64::try_from(n).unwrap()));
        (0..count).map(id).collect()
    }

    fn chain(ids: &[AuditId]) -> Vec<Link> {
        let (key, mut head) = (key(), Head::START);
        ids.iter()
            .map(|id| {
                let link = key.append(&head, format!(r#"{{"id":"{id}"}}"#));
                head = link.as_head();
                link
            })
            .collect()
    }

    fn verify(links: &[Link]) -> Verdict {
        let mut verification = Verification::default();
        for link in links {
            if let Err(verdict) = verification.next(&key(), Some(link)) {
                return verdict;
            }
        }
        verification.sound()
    }

    proptest! {
        #[test]
        fn of_any_two_entries_swapped_the_first_is_named(a in 0_usize..9, b in 0_usize..9) {
            prop_assume!(a != b);
            let ids = ids(9);
            let mut links = chain(&ids);
            let (first, second) = (a.min(b), a.max(b));
            let texts = (links[first].clone(), links[second].clone());
            links[first] = Link { sequence: texts.0.sequence, ..texts.1.clone() };
            links[second] = Link { sequence: texts.1.sequence, ..texts.0 };

            let verdict = verify(&links);

            prop_assert_eq!(verdict.entries, first as u64);
            prop_assert_eq!(verdict.broken, Some(Broken { at: Some(ids[second]) }));
        }

        #[test]
        fn behind_any_gap_the_next_entry_is_named(at in 0_usize..8) {
            let ids = ids(9);
            let mut links = chain(&ids);
            links.remove(at);

            let verdict = verify(&links);

            prop_assert_eq!(verdict.broken, Some(Broken { at: Some(ids[at + 1]) }));
        }
    }

    #[test]
    fn it_goes_on_behind_an_entry_as_if_it_had_come_from_the_start() {
        let ids = ids(5);
        let links = chain(&ids);

        let mut verification = Verification::behind(&links[2]);

        assert_eq!(verification.next(&key(), Some(&links[3])), Ok(()));
        assert_eq!(verification.reached(), links[3].as_head());
        let skipped = Verification::behind(&links[2]).next(&key(), Some(&links[4]));
        assert_eq!(
            skipped.unwrap_err().broken,
            Some(Broken { at: Some(ids[4]) })
        );
    }

    #[test]
    fn what_cannot_be_read_breaks_the_chain_behind_the_last_good_entry() {
        let ids = ids(1);
        let mut verification = Verification::behind(&chain(&ids)[0]);

        let verdict = verification.next(&key(), None).unwrap_err();

        assert_eq!(
            (verdict.entries, verdict.broken),
            (1, Some(Broken { at: Some(ids[0]) }))
        );
    }
}
