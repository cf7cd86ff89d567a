//! Scopes: the words that say what a credential may do, and sets of them.
//!
//! A set is a value of four bytes that is compared, intersected and copied for nothing, and always
//! lists its scopes in one order. Who may hold or grant which set is decided elsewhere: roles in
//! [`super::user`], keys in [`super::api_key`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Role;

/// A word that names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scope")]
pub struct UnknownScope;

macro_rules! scopes {
    ($($name:ident = $word:tt),+ $(,)?) => {
        /// One thing that a credential may do.
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
        )]
        pub enum Scope {
            $(#[serde(rename = $word)] $name),+
        }

        impl Scope {
            /// Every scope, in the order in which sets list theirs.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The scope's name, as tokens, requests and answers state it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word),+
                }
            }
        }
    };
}

scopes! {
    ProfileRead = "profile:read",
    ProfileWrite = "profile:write",
    KeysRead = "keys:read",
    KeysWrite = "keys:write",
    UsageRead = "usage:read",
    PreferencesRead = "preferences:read",
    PreferencesWrite = "preferences:write",
    BehaviorRead = "behavior:read",
    BehaviorWrite = "behavior:write",
    ContentRead = "content:read",
    QueryRun = "query:run",
    HistoryRead = "history:read",
    HistoryWrite = "history:write",
    JobsRead = "jobs:read",
    JobsWrite = "jobs:write",
    CacheRead = "cache:read",
    CacheWrite = "cache:write",
    AdminRead = "admin:read",
    AdminWrite = "admin:write",
    KeysVerify = "keys:verify",
    LimitsCheck = "limits:check",
    ContentWrite = "content:write",
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut all = Self::ALL.iter().copied();
        all.find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

/// What every user may do.
const OF_USERS: ScopeSet = ScopeSet::of(&[
    Scope::ProfileRead,
    Scope::ProfileWrite,
    Scope::KeysRead,
    Scope::KeysWrite,
    Scope::UsageRead,
    Scope::PreferencesRead,
    Scope::PreferencesWrite,
    Scope::BehaviorRead,
    Scope::BehaviorWrite,
    Scope::ContentRead,
    Scope::QueryRun,
    Scope::HistoryRead,
    Scope::HistoryWrite,
    Scope::JobsRead,
    Scope::JobsWrite,
    Scope::CacheRead,
    Scope::CacheWrite,
]);
const OF_SUPPORT: ScopeSet = ScopeSet::of(&[Scope::AdminRead]);
const OF_ADMINS: ScopeSet = ScopeSet::of(&[
    Scope::AdminRead,
    Scope::AdminWrite,
    Scope::KeysVerify,
    Scope::LimitsCheck,
    Scope::ContentWrite,
]);

/// A set of scopes.
///
/// As serde and the contract see it, a list of names in which an unknown one is refused; as a
/// token states it, [`space_separated`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, utoipa::ToSchema)]
#[schema(value_type = Vec<Scope>)]
pub struct ScopeSet(u32);

impl ScopeSet {
    /// The set that allows nothing.
    pub const EMPTY: Self = Self(0);

    const fn of(scopes: &[Scope]) -> Self {
        let mut bits = 0;
        let mut rest = scopes;
        while let [first, others @ ..] = rest {
            bits |= bit(*first);
            rest = others;
        }
        Self(bits)
    }

    /// What `roles` hold together.
    pub fn of_roles(roles: &[Role]) -> Self {
        let held = roles.iter().map(|role| match role {
            Role::User => OF_USERS,
            Role::Support => OF_SUPPORT,
            Role::Admin => OF_ADMINS,
        });
        held.fold(Self::EMPTY, Self::union)
    }

    /// What a key may do that was made without a word about scopes: what a plain user may, but for
    /// managing keys, whoever owns it.
    pub const fn default_of_key() -> Self {
        Self(OF_USERS.0 & !bit(Scope::KeysWrite))
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    pub const fn insert(&mut self, scope: Scope) {
        self.0 |= bit(scope);
    }

    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn is_subset_of(self, other: Self) -> bool {
        self.difference(other).is_empty()
    }

    /// The scopes in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        let all = Scope::ALL.iter().copied();
        all.filter(move |scope| self.contains(*scope))
    }

    /// Reads a token's space-separated list (RFC 6749, section 3.3). Words that this release does
    /// not know give no right here and are passed over, so that a token may state more.
    pub fn from_space_separated(text: &str) -> Self {
        text.split(' ')
            .filter_map(|word| word.parse().ok())
            .collect()
    }
}

const fn bit(scope: Scope) -> u32 {
    1 << scope as u32
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::EMPTY;
        for scope in scopes {
            set.insert(scope);
        }
        set
    }
}

/// The names, space-separated, as tokens state them (RFC 6749, section 3.3).
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{scope}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeSet({self})")
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Scope>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

/// `#[serde(with = "space_separated")]`: a set as a token's claim `scope` states it (RFC 9068,
/// section 2.2.3).
pub mod space_separated {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::ScopeSet;

    pub fn serialize<S: Serializer>(set: &ScopeSet, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(set)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScopeSet, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(ScopeSet::from_space_separated(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USERS: &str = "profile:read profile:write keys:read keys:write usage:read \
                         preferences:read preferences:write behavior:read behavior:write \
                         content:read query:run history:read history:write jobs:read jobs:write \
                         cache:read cache:write";

    #[test]
    fn roles_hold_what_the_contract_says_each_scope_once_and_in_one_order() {
        let admins = "admin:read admin:write keys:verify limits:check content:write";
        let cases: [(&[Role], &str); 6] = [
            (&[], ""),
            (&[Role::User], USERS),
            (&[Role::Support], "admin:read"),
            (&[Role::Admin], admins),
            (
                &[Role::User, Role::Support, Role::Admin],
                &format!("{USERS} {admins}"),
            ),
            (
                &[Role::Admin, Role::Support, Role::User],
                &format!("{USERS} {admins}"),
            ),
        ];

        for (roles, expected) in cases {
            assert_eq!(ScopeSet::of_roles(roles).to_string(), expected, "{roles:?}");
        }
    }

    #[test]
    fn a_key_without_a_word_about_scopes_has_a_users_but_for_managing_keys() {
        let expected = USERS.replace("keys:write ", "");

        assert_eq!(ScopeSet::default_of_key().to_string(), expected);
    }

    #[test]
    fn every_scope_reads_back_by_its_name_alike_in_text_and_in_json() {
        for scope in Scope::ALL.iter().copied() {
            let name = scope.to_string();

            assert_eq!(name.parse(), Ok(scope));
            let json = format!("{name:?}");
            assert_eq!(serde_json::to_string(&scope).unwrap(), json);
            assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
        }
        for word in ["", "profile", "Profile:read", "profile:read ", "root"] {
            assert_eq!(word.parse::<Scope>(), Err(UnknownScope), "{word:?}");
        }
    }

    #[test]
    fn a_tokens_list_is_read_without_the_words_that_nobody_here_knows() {
        let cases = [
            ("", ""),
            ("query:run", "query:run"),
            ("query:run profile:read", "profile:read query:run"),
            ("moon:land  query:run query:run", "query:run"),
            ("query:runs,profile:read", ""),
        ];

        for (text, expected) in cases {
            let set = ScopeSet::from_space_separated(text);

            assert_eq!(set.to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_list_with_an_unknown_scope_is_refused() {
        let good: ScopeSet = serde_json::from_str(r#"["query:run","profile:read"]"#).unwrap();
        let bad = serde_json::from_str::<ScopeSet>(r#"["query:run","moon:land"]"#);

        assert_eq!(
            serde_json::to_string(&good).unwrap(),
            r#"["profile:read","query:run"]"#
        );
        assert!(bad.is_err());
    }

    fn scopes() -> impl Strategy<Value = Vec<Scope>> {
        prop::collection::vec(prop::sample::select(Scope::ALL), 0..30)
    }

    proptest! {
        #[test]
        fn a_set_does_what_a_list_of_its_scopes_would(left in scopes(), right in scopes()) {
            let (a, b): (ScopeSet, ScopeSet) =
                (left.iter().copied().collect(), right.iter().copied().collect());

            for scope in Scope::ALL {
                let (in_left, in_right) = (left.contains(scope), right.contains(scope));
                prop_assert_eq!(a.contains(*scope), in_left);
                prop_assert_eq!(a.union(b).contains(*scope), in_left || in_right);
                prop_assert_eq!(a.intersection(b).contains(*scope), in_left && in_right);
                prop_assert_eq!(a.difference(b).contains(*scope), in_left && !in_right);
            }
            let is_subset = left.iter().all(|scope| right.contains(scope));
            prop_assert_eq!(a.is_subset_of(b), is_subset);
            prop_assert_eq!(a.iter().collect::<ScopeSet>(), a);
            prop_assert_eq!(ScopeSet::from_space_separated(&a.to_string()), a);
        }
    }
}
