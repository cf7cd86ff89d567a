//! Who may make which key, and change which: nobody gives more than they hold.
//!
//! Pure rules. That somebody may manage keys at all (`keys:write`) is asked before; that a key is
//! its owner's follows from where it was found.

use super::networks::CidrList;
use super::record::{ApiKeyRecord, KeyLimits};
use crate::auth::{Scope, ScopeSet};
use crate::clock::Timestamp;

/// Who makes, changes, exchanges or revokes a key.
#[derive(Clone, Copy, Debug)]
pub enum Grantor<'a> {
    /// The owner, signed in.
    Session,
    /// A key of the same owner.
    Key(&'a ApiKeyRecord),
}

/// Why a key is not made, changed or revoked so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// These are not the grantor's to give.
    #[error("scopes that the grantor does not hold: {0}")]
    ScopesNotHeld(ScopeSet),
    #[error("a key does not grant keys:write")]
    KeysWriteByKey,
    #[error("addresses from which the granting key may not be used")]
    CidrsNotWithin,
    #[error("a longer life than the granting key's")]
    ExpiryNotWithin,
    #[error("limits that the granting key's do not allow")]
    LimitsNotWithin,
    #[error("a key does not manage itself")]
    Itself,
}

/// What a key gives its holder: what is asked for, before there is a key of it.
#[derive(Clone, Copy, Debug)]
pub struct KeyGrant<'a> {
    pub scopes: ScopeSet,
    pub allowed_cidrs: &'a CidrList,
    pub limits: KeyLimits,
    pub expires_at: Option<Timestamp>,
}

impl<'a> From<&'a ApiKeyRecord> for KeyGrant<'a> {
    fn from(key: &'a ApiKeyRecord) -> Self {
        Self {
            scopes: key.scopes,
            allowed_cidrs: &key.allowed_cidrs,
            limits: key.limits,
            expires_at: key.expires_at,
        }
    }
}

impl KeyGrant<'_> {
    /// Whether `grantor` may give this to a new key or to a changed one; `held` is what the owner's
    /// roles give now. Exchanging a key gives its holder the same once more, and is asked alike.
    pub fn check(&self, held: ScopeSet, grantor: Grantor<'_>) -> Result<(), GrantRefused> {
        let not_held = self.scopes.difference(held);
        if !not_held.is_empty() {
            return Err(GrantRefused::ScopesNotHeld(not_held));
        }
        match grantor {
            Grantor::Session => Ok(()),
            Grantor::Key(_) if self.scopes.contains(Scope::KeysWrite) => {
                Err(GrantRefused::KeysWriteByKey)
            }
            Grantor::Key(key) => self.lies_within(key),
        }
    }

    fn lies_within(&self, key: &ApiKeyRecord) -> Result<(), GrantRefused> {
        let beyond = self.scopes.difference(key.scopes);
        if !beyond.is_empty() {
            return Err(GrantRefused::ScopesNotHeld(beyond));
        }
        if !key.allowed_cidrs.contains_list(self.allowed_cidrs) {
            return Err(GrantRefused::CidrsNotWithin);
        }
        // A key in the overlap after its rotation would else outlive it in those that it makes.
        let outlives = |end| self.expires_at.is_none_or(|own| own > end);
        if key.lives_until().is_some_and(outlives) {
            return Err(GrantRefused::ExpiryNotWithin);
        }
        if !self.limits.lie_within(&key.limits) {
            return Err(GrantRefused::LimitsNotWithin);
        }
        Ok(())
    }
}

impl Grantor<'_> {
    /// Whether this may change, exchange or revoke `target` at all. What the change gives is
    /// another question, which [`KeyGrant::check`] answers.
    pub fn may_manage(&self, target: &ApiKeyRecord) -> Result<(), GrantRefused> {
        match self {
            Self::Session => Ok(()),
            Self::Key(key) if key.id == target.id => Err(GrantRefused::Itself),
            Self::Key(key) => KeyGrant::from(target).lies_within(key),
        }
    }

    /// The key to note as a new key's maker.
    pub fn key(&self) -> Option<&ApiKeyRecord> {
        match self {
            Self::Session => None,
            Self::Key(key) => Some(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::record::Rotation;
    use super::super::record::tests::{T, record};
    use super::*;
    use crate::auth::Role;
    use crate::ids::KeyId;

    const HOUR: Duration = Duration::from_hours(1);

    fn users() -> ScopeSet {
        ScopeSet::of_roles(&[Role::User])
    }

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::from_space_separated(text)
    }

    fn networks(list: &[&str]) -> CidrList {
        CidrList::new(list.iter().map(|text| text.parse().unwrap())).unwrap()
    }

    fn hourly(hour: u64) -> KeyLimits {
        KeyLimits {
            hour: Some(hour),
            ..KeyLimits::NONE
        }
    }

    /// A key that manages keys, with a bound of every kind.
    fn manager() -> ApiKeyRecord {
        ApiKeyRecord {
            scopes: scopes("keys:read keys:write query:run"),
            allowed_cidrs: networks(&["192.0.2.0/24"]),
            limits: hourly(100),
            expires_at: Some(T.plus(HOUR)),
            ..record()
        }
    }

    /// A key that lies within the manager's bounds, each of them touched.
    fn within() -> ApiKeyRecord {
        ApiKeyRecord {
            scopes: scopes("keys:read query:run"),
            ..sibling(&manager())
        }
    }

    /// As `key`, but another.
    fn sibling(key: &ApiKeyRecord) -> ApiKeyRecord {
        let id = KeyId::new(T);
        ApiKeyRecord { id, ..key.clone() }
    }

    /// Each bound of the manager overstepped, and what is said of it.
    fn oversteps() -> Vec<(ApiKeyRecord, GrantRefused)> {
        vec![
            (
                ApiKeyRecord {
                    scopes: scopes("query:run jobs:read"),
                    ..within()
                },
                GrantRefused::ScopesNotHeld(scopes("jobs:read")),
            ),
            (
                ApiKeyRecord {
                    allowed_cidrs: CidrList::everywhere(),
                    ..within()
                },
                GrantRefused::CidrsNotWithin,
            ),
            (
                ApiKeyRecord {
                    allowed_cidrs: networks(&["192.0.2.7", "198.51.100.7"]),
                    ..within()
                },
                GrantRefused::CidrsNotWithin,
            ),
            (
                ApiKeyRecord {
                    expires_at: None,
                    ..within()
                },
                GrantRefused::ExpiryNotWithin,
            ),
            (
                ApiKeyRecord {
                    expires_at: Some(T.plus(HOUR + Duration::from_millis(1))),
                    ..within()
                },
                GrantRefused::ExpiryNotWithin,
            ),
            (
                ApiKeyRecord {
                    limits: KeyLimits::NONE,
                    ..within()
                },
                GrantRefused::LimitsNotWithin,
            ),
            (
                ApiKeyRecord {
                    limits: hourly(101),
                    ..within()
                },
                GrantRefused::LimitsNotWithin,
            ),
        ]
    }

    #[test]
    fn a_session_gives_what_its_user_holds_and_is_told_what_not() {
        let key = record();
        let check = |asked| {
            let scopes = scopes(asked);
            let grant = KeyGrant {
                scopes,
                ..KeyGrant::from(&key)
            };
            grant.check(users(), Grantor::Session)
        };

        let held = check("keys:write query:run");
        let none = check("");
        let more = check("query:run admin:read admin:write");

        assert_eq!((held, none), (Ok(()), Ok(())));
        let not_held = scopes("admin:read admin:write");
        assert_eq!(more, Err(GrantRefused::ScopesNotHeld(not_held)));
    }

    #[test]
    fn a_key_gives_what_lies_within_its_own_bounds() {
        let manager = manager();

        let refused = KeyGrant::from(&within()).check(users(), Grantor::Key(&manager));

        assert_eq!(refused, Ok(()));
    }

    #[test]
    fn a_key_gives_nothing_beyond_its_own_bounds_and_manages_no_key_beyond_them() {
        let manager = manager();
        for (key, expected) in oversteps() {
            let grantor = Grantor::Key(&manager);

            assert_eq!(KeyGrant::from(&key).check(users(), grantor), Err(expected));
            assert_eq!(grantor.may_manage(&key), Err(expected));
            assert_eq!(
                KeyGrant::from(&key).check(users(), Grantor::Session),
                Ok(())
            );
            assert_eq!(Grantor::Session.may_manage(&key), Ok(()));
        }
    }

    #[test]
    fn a_key_gives_nothing_that_its_owner_has_lost() {
        let manager = manager();
        let support = scopes("keys:read keys:write");

        let refused = KeyGrant::from(&within()).check(support, Grantor::Key(&manager));

        let lost = scopes("query:run");
        assert_eq!(refused, Err(GrantRefused::ScopesNotHeld(lost)));
    }

    #[test]
    fn a_key_never_gives_the_right_to_manage_keys_but_may_revoke_one_that_has_it() {
        let manager = manager();
        let peer = sibling(&manager);
        let grantor = Grantor::Key(&manager);

        assert_eq!(
            KeyGrant::from(&peer).check(users(), grantor),
            Err(GrantRefused::KeysWriteByKey)
        );
        assert_eq!(grantor.may_manage(&peer), Ok(()));
    }

    #[test]
    fn a_key_does_not_manage_itself() {
        let manager = manager();

        let refused = Grantor::Key(&manager).may_manage(&manager);

        assert_eq!(refused, Err(GrantRefused::Itself));
    }

    #[test]
    fn an_exchanged_key_does_not_outlive_its_overlap_in_the_keys_that_it_makes() {
        let to = KeyId::new(T);
        let live_until = T.plus(Duration::from_mins(5));
        let leaked = ApiKeyRecord {
            expires_at: None,
            rotation: Some(Rotation { to, live_until }),
            ..manager()
        };
        let brief = ApiKeyRecord {
            expires_at: Some(live_until),
            ..within()
        };

        let longer = KeyGrant::from(&within()).check(users(), Grantor::Key(&leaked));
        let as_long = KeyGrant::from(&brief).check(users(), Grantor::Key(&leaked));

        assert_eq!(longer, Err(GrantRefused::ExpiryNotWithin));
        assert_eq!(as_long, Ok(()));
    }
}
