//! All keys of a user together, and what may become of them: one more, another one instead, none.
//!
//! Pure decisions over what was read at one epoch of the owner. Whoever writes them down does so
//! under the condition that the epoch is still that one, and reads and decides anew otherwise; so
//! of simultaneous changes each is decided on what the one before it left.

use std::collections::BTreeSet;
use std::time::Duration;

use super::grant::{GrantRefused, Grantor, KeyGrant};
use super::networks::CidrList;
use super::record::{
    ApiKeyRecord, KeyLimits, KeyName, KeyState, KeysRevoked, LimitSlot, MAX_LIVE_KEYS, Rotation,
};
use super::{ApiKey, KeyDigest};
use crate::auth::{Scope, ScopeSet, User};
use crate::clock::Timestamp;
use crate::ids::{KeyId, SessionId, UserId};

/// With what somebody manages keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyManager {
    Session(SessionId),
    Key(KeyId),
}

/// Why a change of keys is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// The session or key that asks has ended, or may no longer manage keys, since it was let in.
    #[error("who asks may no longer manage keys")]
    ManagerGone,
    #[error("there is no such key")]
    NotFound,
    #[error("the key is revoked or has expired")]
    NotLive,
    #[error("the key was exchanged before, and lives on for a while")]
    RotatedBefore,
    #[error("there are {MAX_LIVE_KEYS} live keys")]
    TooManyKeys,
    #[error("{} live keys have limits of their own", LimitSlot::MAX)]
    TooManyWithLimits,
    #[error(transparent)]
    NotGranted(#[from] GrantRefused),
}

/// What names a key that is about to exist. The key itself stays with whoever made it.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub id: KeyId,
    digest: KeyDigest,
    prefix: String,
}

impl NewKey {
    pub fn of(key: &ApiKey, now: Timestamp) -> Self {
        Self {
            id: KeyId::new(now),
            digest: key.digest(),
            prefix: key.prefix().to_owned(),
        }
    }
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct KeyDraft {
    pub name: KeyName,
    pub scopes: ScopeSet,
    pub allowed_cidrs: CidrList,
    pub limits: KeyLimits,
    pub expires_at: Option<Timestamp>,
}

/// What of a key is to be another; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    pub name: Option<KeyName>,
    pub scopes: Option<ScopeSet>,
    pub allowed_cidrs: Option<CidrList>,
    /// Replaces all of the key's own limits; [`KeyLimits::NONE`] takes them away.
    pub limits: Option<KeyLimits>,
}

/// What is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChanges {
    /// The key that the change was about, as it is afterwards.
    pub outcome: ApiKeyRecord,
    /// The key that is to be made.
    pub made: Option<ApiKeyRecord>,
    /// Keys as they are to be, the one that matters most first.
    pub changed: Vec<ApiKeyRecord>,
}

impl KeyChanges {
    pub fn is_empty(&self) -> bool {
        self.made.is_none() && self.changed.is_empty()
    }
}

/// All keys of a user, as they were at one epoch.
pub struct KeyRing {
    owner: UserId,
    epoch: u64,
    held: ScopeSet,
    revoked: Option<KeysRevoked>,
    keys: Vec<ApiKeyRecord>,
}

impl KeyRing {
    /// `keys` must have been read after `owner`.
    pub fn new(owner: &User, keys: Vec<ApiKeyRecord>) -> Self {
        Self {
            owner: owner.id,
            epoch: owner.epoch,
            held: ScopeSet::of_roles(&owner.roles),
            revoked: owner.keys_revoked,
            keys,
        }
    }

    /// Makes a key.
    pub fn make(
        &self,
        new: &NewKey,
        draft: &KeyDraft,
        manager: KeyManager,
        now: Timestamp,
    ) -> Result<KeyChanges, KeyRefused> {
        let grantor = self.grantor(manager, now)?;
        self.find_room(now)?;
        let limit_slot = self.slot_for(draft.limits, None, now)?;
        let made = ApiKeyRecord {
            id: new.id,
            owner: self.owner,
            digest: new.digest,
            name: draft.name.clone(),
            prefix: new.prefix.clone(),
            scopes: draft.scopes,
            allowed_cidrs: draft.allowed_cidrs.clone(),
            limits: draft.limits,
            limit_slot,
            created_at: now,
            expires_at: draft.expires_at,
            revoked_at: None,
            made_by: grantor.key().map(|key| key.id),
            rotation: None,
            last_used_at: None,
            generation: self.generation(),
        };
        KeyGrant::from(&made).check(self.held, grantor)?;
        Ok(KeyChanges {
            outcome: made.clone(),
            made: Some(made),
            changed: vec![],
        })
    }

    /// Changes a live key.
    pub fn change(
        &self,
        id: KeyId,
        change: &KeyChange,
        manager: KeyManager,
        now: Timestamp,
    ) -> Result<KeyChanges, KeyRefused> {
        let grantor = self.grantor(manager, now)?;
        let target = self.live(id, now)?;
        let limits = change.limits.unwrap_or(target.limits);
        let limit_slot = self.slot_for(limits, target.limit_slot, now)?;
        let changed = ApiKeyRecord {
            name: change.name.clone().unwrap_or_else(|| target.name.clone()),
            scopes: change.scopes.unwrap_or(target.scopes),
            allowed_cidrs: match &change.allowed_cidrs {
                Some(cidrs) => cidrs.clone(),
                None => target.allowed_cidrs.clone(),
            },
            limits,
            limit_slot,
            ..target.clone()
        };
        grantor.may_manage(target)?;
        // Who has lost a role may still rename a key that was made with it: it gives nothing.
        let gives = change.scopes.is_some() || grantor.key().is_some();
        if gives {
            KeyGrant::from(&changed).check(self.held, grantor)?;
        }
        let is_another = changed != *target;
        Ok(KeyChanges {
            outcome: changed.clone(),
            made: None,
            changed: is_another.then_some(changed).into_iter().collect(),
        })
    }

    /// Exchanges a live key for a new one that may do the same. Until `overlap` is over both work,
    /// and are counted as one where the key has limits of its own.
    pub fn rotate(
        &self,
        id: KeyId,
        new: &NewKey,
        overlap: Duration,
        manager: KeyManager,
        now: Timestamp,
    ) -> Result<KeyChanges, KeyRefused> {
        let grantor = self.grantor(manager, now)?;
        let target = self.live(id, now)?;
        if target.rotation.is_some() {
            return Err(KeyRefused::RotatedBefore);
        }
        let ends_at_once = overlap.is_zero();
        if !ends_at_once {
            self.find_room(now)?;
        }
        grantor.may_manage(target)?;
        KeyGrant::from(target).check(self.held, grantor)?;
        let rotation = Rotation {
            to: new.id,
            live_until: now.plus(overlap),
        };
        let old = ApiKeyRecord {
            rotation: Some(rotation),
            revoked_at: ends_at_once.then_some(now),
            ..target.clone()
        };
        let made = ApiKeyRecord {
            id: new.id,
            digest: new.digest,
            prefix: new.prefix.clone(),
            created_at: now,
            made_by: grantor.key().map(|key| key.id).or(target.made_by),
            last_used_at: None,
            generation: self.generation(),
            ..target.clone()
        };
        Ok(KeyChanges {
            outcome: made.clone(),
            made: Some(made),
            changed: vec![old],
        })
    }

    /// Revokes a key and those that it made, or that were made by what it was exchanged for.
    /// Once more changes nothing.
    pub fn revoke(
        &self,
        id: KeyId,
        manager: KeyManager,
        now: Timestamp,
    ) -> Result<KeyChanges, KeyRefused> {
        let grantor = self.grantor(manager, now)?;
        let target = self.find(id)?;
        grantor.may_manage(target)?;
        let revoked = |key: &ApiKeyRecord| ApiKeyRecord {
            revoked_at: Some(now),
            ..key.clone()
        };
        let is_revoked = target.state(now) == KeyState::Revoked;
        let own = (!is_revoked).then(|| revoked(target));
        let descendants = self.descendants(target.id);
        let is_doomed =
            |key: &&ApiKeyRecord| descendants.contains(&key.id) && key.state(now) == KeyState::Live;
        let theirs = self.keys.iter().filter(is_doomed).map(revoked);
        Ok(KeyChanges {
            outcome: own.clone().unwrap_or_else(|| target.clone()),
            made: None,
            changed: own.into_iter().chain(theirs).collect(),
        })
    }

    /// Whose keys they are.
    pub fn owner(&self) -> UserId {
        self.owner
    }

    /// A key as it is before any change.
    pub fn key(&self, id: KeyId) -> Option<&ApiKeyRecord> {
        self.find(id).ok()
    }

    /// The slots that live keys have once `changes` are made.
    pub fn slots_after(&self, changes: &KeyChanges, now: Timestamp) -> BTreeSet<LimitSlot> {
        let as_changed = |key: &ApiKeyRecord| changes.changed.iter().find(|new| new.id == key.id);
        let keys = self.keys.iter().map(|key| as_changed(key).unwrap_or(key));
        slots(keys.chain(&changes.made), now)
    }

    fn grantor(&self, manager: KeyManager, now: Timestamp) -> Result<Grantor<'_>, KeyRefused> {
        let KeyManager::Key(id) = manager else {
            return Ok(Grantor::Session);
        };
        let may_manage = |key: &&ApiKeyRecord| {
            let scopes = key.effective_scopes(self.held);
            key.state(now) == KeyState::Live && scopes.contains(Scope::KeysWrite)
        };
        let key = self.find(id).ok().filter(may_manage);
        key.map(Grantor::Key).ok_or(KeyRefused::ManagerGone)
    }

    fn find(&self, id: KeyId) -> Result<&ApiKeyRecord, KeyRefused> {
        let key = self.keys.iter().find(|key| key.id == id);
        key.ok_or(KeyRefused::NotFound)
    }

    fn live(&self, id: KeyId, now: Timestamp) -> Result<&ApiKeyRecord, KeyRefused> {
        let key = self.find(id)?;
        if key.state(now) == KeyState::Live {
            Ok(key)
        } else {
            Err(KeyRefused::NotLive)
        }
    }

    fn find_room(&self, now: Timestamp) -> Result<(), KeyRefused> {
        let is_live = |key: &&ApiKeyRecord| key.state(now) == KeyState::Live;
        if self.keys.iter().filter(is_live).count() < MAX_LIVE_KEYS {
            Ok(())
        } else {
            Err(KeyRefused::TooManyKeys)
        }
    }

    /// The slot of a key with these limits, which may have one already.
    fn slot_for(
        &self,
        limits: KeyLimits,
        own: Option<LimitSlot>,
        now: Timestamp,
    ) -> Result<Option<LimitSlot>, KeyRefused> {
        if limits.is_none() || own.is_some() {
            return Ok(own.filter(|_| !limits.is_none()));
        }
        if slots(&self.keys, now).len() < LimitSlot::MAX {
            Ok(Some(LimitSlot::taken_at(self.epoch + 1)))
        } else {
            Err(KeyRefused::TooManyWithLimits)
        }
    }

    fn generation(&self) -> u64 {
        self.revoked.map_or(0, |revoked| revoked.generation)
    }

    /// Keys that go when `id` does: made by it, by a key that it took the place of, or by one of
    /// these.
    fn descendants(&self, id: KeyId) -> BTreeSet<KeyId> {
        let (mut makers, mut made) = (BTreeSet::from([id]), BTreeSet::new());
        loop {
            let before = (makers.len(), made.len());
            for key in &self.keys {
                if key.rotation.is_some_and(|to| makers.contains(&to.to)) {
                    makers.insert(key.id);
                }
                if key.made_by.is_some_and(|maker| makers.contains(&maker)) && key.id != id {
                    makers.insert(key.id);
                    made.insert(key.id);
                }
            }
            if before == (makers.len(), made.len()) {
                return made;
            }
        }
    }
}

fn slots<'a>(
    keys: impl IntoIterator<Item = &'a ApiKeyRecord>,
    now: Timestamp,
) -> BTreeSet<LimitSlot> {
    let live = keys
        .into_iter()
        .filter(|key| key.state(now) == KeyState::Live);
    live.filter_map(|key| key.limit_slot).collect()
}

#[cfg(test)]
mod tests {
    use super::super::KeyKind;
    use super::super::record::tests::{T, record};
    use super::*;
    use crate::auth::{Role, Tier};

    const HOUR: Duration = Duration::from_hours(1);
    const LIMITED: KeyLimits = KeyLimits {
        hour: Some(5),
        day: None,
        month: None,
    };

    fn owner() -> User {
        User {
            id: record().owner,
            email: "ada@example.com".parse().unwrap(),
            full_name: None,
            tier: Tier::free(),
            roles: vec![Role::User],
            is_active: true,
            is_verified: true,
            created_at: T,
            updated_at: T,
            quota_override: None,
            epoch: 41,
            keys_revoked: None,
        }
    }

    fn ring(keys: &[&ApiKeyRecord]) -> KeyRing {
        KeyRing::new(&owner(), keys.iter().copied().cloned().collect())
    }

    fn session() -> KeyManager {
        KeyManager::Session(SessionId::new(T))
    }

    fn new() -> NewKey {
        NewKey::of(&ApiKey::generate(KeyKind::Test), T)
    }

    fn draft(limits: KeyLimits) -> KeyDraft {
        KeyDraft {
            name: "CI".parse().unwrap(),
            scopes: ScopeSet::default_of_key(),
            allowed_cidrs: CidrList::everywhere(),
            limits,
            expires_at: None,
        }
    }

    fn managing() -> ApiKeyRecord {
        ApiKeyRecord {
            scopes: ScopeSet::of_roles(&[Role::User]),
            ..record()
        }
    }

    fn revoked() -> ApiKeyRecord {
        ApiKeyRecord {
            revoked_at: Some(T),
            ..record()
        }
    }

    fn limited(slot: u64) -> ApiKeyRecord {
        ApiKeyRecord {
            limits: LIMITED,
            limit_slot: Some(LimitSlot::taken_at(slot)),
            ..record()
        }
    }

    #[test]
    fn a_new_key_belongs_to_the_owners_generation_and_to_the_key_that_made_it() {
        let maker = ApiKeyRecord {
            generation: 3,
            ..managing()
        };
        let owner = User {
            keys_revoked: Some(KeysRevoked {
                generation: 3,
                at: T,
            }),
            ..owner()
        };
        let ring = KeyRing::new(&owner, vec![maker.clone()]);
        let draft = draft(KeyLimits::NONE);

        let by_session = ring.make(&new(), &draft, session(), T).unwrap().outcome;
        let by_key = ring.make(&new(), &draft, KeyManager::Key(maker.id), T);

        assert_eq!((by_session.generation, by_session.made_by), (3, None));
        assert_eq!(by_key.unwrap().outcome.made_by, Some(maker.id));
    }

    #[test]
    fn who_may_no_longer_manage_keys_makes_changes_rotates_and_revokes_none() {
        let target = record();
        let gone = [
            revoked(),
            record(),
            ApiKeyRecord {
                expires_at: Some(T),
                ..managing()
            },
        ];
        for maker in gone {
            let (ring, manager) = (ring(&[&maker, &target]), KeyManager::Key(maker.id));
            let refusals = [
                ring.make(&new(), &draft(KeyLimits::NONE), manager, T),
                ring.change(target.id, &KeyChange::default(), manager, T),
                ring.rotate(target.id, &new(), HOUR, manager, T),
                ring.revoke(target.id, manager, T),
            ];

            for refused in refusals {
                assert_eq!(refused.unwrap_err(), KeyRefused::ManagerGone);
            }
        }
    }

    #[test]
    fn a_slot_is_named_after_the_change_that_takes_it_and_kept_while_there_are_limits() {
        let (plain, counted) = (record(), limited(7));
        let ring = ring(&[&plain, &counted]);
        let slot = |id, limits| {
            let change = KeyChange {
                limits: Some(limits),
                ..KeyChange::default()
            };
            ring.change(id, &change, session(), T)
                .unwrap()
                .outcome
                .limit_slot
        };
        let other = KeyLimits {
            hour: Some(6),
            ..KeyLimits::NONE
        };

        assert_eq!(slot(plain.id, LIMITED), Some(LimitSlot::taken_at(42)));
        assert_eq!(slot(counted.id, other), Some(LimitSlot::taken_at(7)));
        assert_eq!(slot(counted.id, KeyLimits::NONE), None);
    }

    #[test]
    fn slots_of_keys_that_are_not_live_are_free_and_two_keys_may_share_one() {
        let mut keys: Vec<ApiKeyRecord> = (1..=5).map(limited).collect();
        keys.push(limited(5));
        let try_one = |keys: &[ApiKeyRecord]| {
            let ring = KeyRing::new(&owner(), keys.to_vec());
            ring.make(&new(), &draft(LIMITED), session(), T)
        };

        assert_eq!(try_one(&keys).unwrap_err(), KeyRefused::TooManyWithLimits);
        keys[4].revoked_at = Some(T);
        assert_eq!(try_one(&keys).unwrap_err(), KeyRefused::TooManyWithLimits);
        keys[5].expires_at = Some(T);
        let made = try_one(&keys).unwrap();
        let slots = KeyRing::new(&owner(), keys).slots_after(&made, T);
        let slots: Vec<u64> = slots.into_iter().map(LimitSlot::number).collect();
        assert_eq!(slots, [1, 2, 3, 4, 42]);
    }

    #[test]
    fn a_hundred_live_keys_leave_no_room_and_dead_ones_take_none() {
        let mut keys: Vec<ApiKeyRecord> = (0..100).map(|_| record()).collect();
        let make = |keys: &[ApiKeyRecord]| {
            let ring = KeyRing::new(&owner(), keys.to_vec());
            ring.make(&new(), &draft(KeyLimits::NONE), session(), T)
        };

        assert_eq!(make(&keys).unwrap_err(), KeyRefused::TooManyKeys);
        keys[50].expires_at = Some(T);
        assert!(make(&keys).is_ok());
    }

    #[test]
    fn a_rotation_keeps_what_the_key_may_and_gives_it_to_another_id() {
        let old = ApiKeyRecord {
            made_by: Some(KeyId::new(T)),
            last_used_at: Some(T),
            expires_at: Some(T.plus(HOUR)),
            ..limited(7)
        };
        let at_once = ring(&[&old])
            .rotate(old.id, &new(), Duration::ZERO, session(), T)
            .unwrap();
        let slowly = ring(&[&old])
            .rotate(old.id, &new(), HOUR, session(), T)
            .unwrap();

        let made = at_once.made.unwrap();
        assert_ne!((made.id, made.digest), (old.id, old.digest));
        assert_eq!((made.limits, made.limit_slot), (old.limits, old.limit_slot));
        assert_eq!(
            (made.expires_at, made.made_by),
            (old.expires_at, old.made_by)
        );
        assert_eq!((made.last_used_at, made.rotation), (None, None));
        assert_eq!(at_once.changed[0].state(T), KeyState::Revoked);
        assert_eq!(slowly.changed[0].state(T), KeyState::Live);
        assert_eq!(slowly.changed[0].revoked_at, None);
    }

    #[test]
    fn a_revocation_takes_along_what_the_key_or_one_before_it_made_and_nothing_else() {
        let (old, heir) = (managing(), managing());
        let old = ApiKeyRecord {
            rotation: Some(Rotation {
                to: heir.id,
                live_until: T.plus(HOUR),
            }),
            ..old
        };
        let made_by = |maker: &ApiKeyRecord| ApiKeyRecord {
            made_by: Some(maker.id),
            ..record()
        };
        let (child, elder, apart) = (made_by(&heir), made_by(&old), record());
        let dead = ApiKeyRecord {
            revoked_at: Some(T.minus(HOUR)),
            ..made_by(&heir)
        };
        let ring = ring(&[&apart, &child, &elder, &dead, &old, &heir]);

        let changed = ring.revoke(heir.id, session(), T).unwrap().changed;
        let of_old = ring.revoke(old.id, session(), T).unwrap().changed;

        let ids = |keys: &[ApiKeyRecord]| keys.iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(&changed), [heir.id, child.id, elder.id]);
        assert!(changed.iter().all(|key| key.revoked_at == Some(T)));
        assert_eq!(ids(&of_old), [old.id, elder.id]);
    }

    #[test]
    fn a_revoked_key_revoked_once_more_takes_along_what_is_left_of_what_it_made() {
        let maker = revoked();
        let child = ApiKeyRecord {
            made_by: Some(maker.id),
            ..record()
        };

        let with_child = ring(&[&maker, &child]).revoke(maker.id, session(), T);
        let alone = ring(&[&maker]).revoke(maker.id, session(), T);

        assert_eq!(with_child.unwrap().changed.len(), 1);
        assert!(alone.unwrap().is_empty());
    }

    #[test]
    fn an_owner_who_lost_a_role_may_still_rename_what_was_made_with_it_and_give_it_to_nobody() {
        let was_an_admins = ApiKeyRecord {
            scopes: [Scope::AdminWrite].into_iter().collect(),
            ..record()
        };
        let ring = ring(&[&was_an_admins]);
        let rename = KeyChange {
            name: Some("Old".parse().unwrap()),
            ..KeyChange::default()
        };

        let renamed = ring.change(was_an_admins.id, &rename, session(), T);
        let rotated = ring.rotate(was_an_admins.id, &new(), HOUR, session(), T);

        assert_eq!(renamed.unwrap().outcome.name.as_str(), "Old");
        let not_held = GrantRefused::ScopesNotHeld(was_an_admins.scopes);
        assert_eq!(rotated.unwrap_err(), KeyRefused::NotGranted(not_held));
    }
}
