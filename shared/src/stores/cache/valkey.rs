//! Entries, leases and copies of generations in Valkey. The copies are what makes a lookup one round
//! trip; what they are copies of lies in DynamoDB.
//!
//! Everything that one call needs carries the same hash tag, so that a cluster keeps it on one node.
//! A user's is in one slot; what is shared is spread over [`SHARED_SLOTS`].

use std::fmt::Display;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{RedisError, Value};

use super::Claim;
use crate::cache::{CacheOwner, EntryId};
use crate::clock::Clock;
use crate::stores::valkey::{Call, Live, Script, ValkeyLink};

/// The largest entry that is kept here: it shares its connection with the questions of admission,
/// which are not to wait for it.
pub(crate) const MAX_VALKEY: usize = 1024 * 1024;
/// Over how many slots of a cluster what is shared is spread, each with its copy of the generations.
const SHARED_SLOTS: u8 = 16;

static LOOK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("look.lua")));
static INSTALL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("install.lua")));
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));
static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

/// Why Valkey is to be done without.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Skipped {
    #[error("there is no link to Valkey")]
    NoLink,
    #[error("Valkey is away or does not answer as it should")]
    Away(#[from] RedisError),
}

/// What Valkey knows of an entry.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The owner's generations, or the ticket to install them with.
    pub(crate) generations: Result<Vec<u8>, String>,
    pub(crate) entry: Option<Vec<u8>>,
}

/// What becomes of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LeaseEnd {
    GivenBack,
    LivesOn(Duration),
    /// For so long it says that there is nothing to wait for.
    Unshared(Duration),
}

#[derive(Clone)]
pub(crate) struct ValkeyCache {
    link: ValkeyLink,
    clock: Clock,
}

impl ValkeyCache {
    pub(crate) fn new(link: ValkeyLink, clock: Clock) -> Self {
        Self { link, clock }
    }

    pub(crate) fn link(&self) -> &ValkeyLink {
        &self.link
    }

    /// The entry, if it is wanted, and the generations of its owner.
    pub(crate) async fn look(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        wants_entry: bool,
    ) -> Result<Looked, Skipped> {
        let live = self.live()?;
        let mut call = Call::default();
        call.keys.push(generations_key(&slot_of(owner, id)));
        if wants_entry {
            call.keys.push(entry_key(owner, id));
        }
        call.args.push(self.now());
        call.args.push(in_text(live.trusted_since.millis()));
        let value = self.link.run(&live, &LOOK, &call).await?;
        let (generations, ticket, entry): (Option<Vec<u8>>, Option<String>, Option<Vec<u8>>) =
            redis::from_redis_value(value).map_err(RedisError::from)?;
        Ok(Looked {
            generations: generations.ok_or(ticket.unwrap_or_default()),
            entry,
        })
    }

    /// Installs a copy of the owner's generations, unless the ticket has become void.
    pub(crate) async fn install(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        ticket: String,
        generations: Vec<u8>,
    ) -> Result<(), Skipped> {
        let live = self.live()?;
        let call = Call {
            keys: vec![generations_key(&slot_of(owner, id))],
            args: vec![ticket.into_bytes(), self.now(), generations],
        };
        self.link.run(&live, &INSTALL, &call).await?;
        Ok(())
    }

    /// Takes every copy of the owner's generations away.
    pub(crate) async fn forget(&self, owner: CacheOwner) -> Result<(), Skipped> {
        let live = self.live()?;
        for slot in slots(owner) {
            let call = Call {
                keys: vec![generations_key(&slot)],
                args: vec![],
            };
            self.link.run(&live, &FORGET, &call).await?;
        }
        Ok(())
    }

    /// Asks for the lease of an entry; answers with the entry if it has come meanwhile.
    pub(crate) async fn claim(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        holder: &str,
        lasting: Duration,
    ) -> Result<(Claim, Option<Vec<u8>>), Skipped> {
        let live = self.live()?;
        let call = Call {
            keys: vec![lease_key(owner, id), entry_key(owner, id)],
            args: vec![holder.into(), in_text(lasting.as_millis())],
        };
        let value = self.link.run(&live, &CLAIM, &call).await?;
        let (state, entry): (i64, Option<Vec<u8>>) =
            redis::from_redis_value(value).map_err(RedisError::from)?;
        let claim = match state {
            1 => Claim::Granted,
            2 => Claim::Unshared,
            _ => Claim::Held,
        };
        Ok((claim, entry))
    }

    /// Ends or renews a lease that is still held; whether it was.
    pub(crate) async fn settle(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        holder: &str,
        end: LeaseEnd,
    ) -> Result<bool, Skipped> {
        self.settle_with(owner, id, holder, end, None).await
    }

    /// Puts an entry in the place of the one that is there, and gives its lease back.
    pub(crate) async fn put(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        holder: Option<&str>,
        entry: (Vec<u8>, Duration),
    ) -> Result<(), Skipped> {
        let holder = holder.unwrap_or_default();
        let end = LeaseEnd::GivenBack;
        let put = self.settle_with(owner, id, holder, end, Some(entry));
        put.await.map(drop)
    }

    async fn settle_with(
        &self,
        owner: CacheOwner,
        id: &EntryId,
        holder: &str,
        end: LeaseEnd,
        entry: Option<(Vec<u8>, Duration)>,
    ) -> Result<bool, Skipped> {
        let live = self.live()?;
        let (becomes, lasting) = match end {
            LeaseEnd::GivenBack => (0, Duration::ZERO),
            LeaseEnd::LivesOn(lasting) => (1, lasting),
            LeaseEnd::Unshared(lasting) => (2, lasting),
        };
        let mut call = Call {
            keys: vec![lease_key(owner, id), entry_key(owner, id)],
            args: vec![
                holder.into(),
                in_text(becomes),
                in_text(lasting.as_millis()),
            ],
        };
        if let Some((entry, kept)) = entry {
            call.args.extend([entry, in_text(kept.as_millis().max(1))]);
        }
        let value: Value = self.link.run(&live, &SETTLE, &call).await?;
        Ok(value == Value::Int(1))
    }

    fn live(&self) -> Result<Live, Skipped> {
        self.link.live().ok_or(Skipped::NoLink)
    }

    /// In place of the time, unless a test moves it: the script is to take the server's.
    fn now(&self) -> Vec<u8> {
        if self.clock.is_shifted() {
            in_text(self.clock.now().millis())
        } else {
            in_text(-1)
        }
    }
}

fn in_text(number: impl Display) -> Vec<u8> {
    format!("{number}").into_bytes()
}

/// The slot that an entry is in, as hash tag.
fn slot_of(owner: CacheOwner, id: &EntryId) -> String {
    match owner {
        CacheOwner::User(_) => format!("{{cache:{owner}}}"),
        CacheOwner::Shared => shared_slot(id.bytes()[0] % SHARED_SLOTS),
    }
}

fn slots(owner: CacheOwner) -> Vec<String> {
    match owner {
        CacheOwner::User(_) => vec![format!("{{cache:{owner}}}")],
        CacheOwner::Shared => (0..SHARED_SLOTS).map(shared_slot).collect(),
    }
}

fn shared_slot(number: u8) -> String {
    format!("{{cache:{}:{number}}}", CacheOwner::Shared)
}

fn generations_key(slot: &str) -> String {
    format!("tp:{slot}:generations")
}

fn entry_key(owner: CacheOwner, id: &EntryId) -> String {
    let slot = slot_of(owner, id);
    format!("tp:{slot}:entry:{}", URL_SAFE_NO_PAD.encode(id.bytes()))
}

fn lease_key(owner: CacheOwner, id: &EntryId) -> String {
    let slot = slot_of(owner, id);
    format!("tp:{slot}:lease:{}", URL_SAFE_NO_PAD.encode(id.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{CacheKey, CacheName};
    use crate::clock::Timestamp;
    use crate::ids::UserId;
    use crate::stores::cache::leases::NOBODY;

    fn id(owner: CacheOwner, number: u8) -> EntryId {
        let key = CacheKey {
            owner,
            name: CacheName::of("query"),
            tags: vec![],
            digest: [number; 32],
        };
        key.id()
    }

    #[test]
    fn what_one_call_needs_has_one_hash_tag_which_is_among_those_that_are_forgotten() {
        let user = CacheOwner::User(UserId::new(Timestamp::from_millis(1)));

        for owner in [user, CacheOwner::Shared] {
            for number in 0..=255 {
                let id = id(owner, number);
                let slot = slot_of(owner, &id);

                let keys = [
                    entry_key(owner, &id),
                    lease_key(owner, &id),
                    generations_key(&slot),
                ];

                assert!(keys.iter().all(|key| key.contains(&slot)), "{keys:?}");
                assert!(slots(owner).contains(&slot));
            }
        }
    }

    #[test]
    fn nobody_holds_what_the_scripts_take_for_unshared() {
        assert!(include_str!("claim.lua").contains(&format!("holder == '{NOBODY}'")));
        assert!(include_str!("settle.lua").contains(&format!("'{NOBODY}', 'PX'")));
    }
}
