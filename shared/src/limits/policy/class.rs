//! Classes: what some routes are limited to besides the tier, whom a limit counts, and what
//! happens while nothing can be counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Unexpected, Visitor};

use super::read::{self, Name, Text};
use super::{PolicyError, Rate};

/// A request's answer names every limit that applied; this bounds how many that can be.
const MAX_LIMITS: usize = 3;
const MAX_CLASSES: usize = 16;

/// The class of every route that has no other.
const DEFAULT: &str = "default";
/// The classes of the routes that are open without a credential, where there is no user to count.
const OPEN_CLASSES: [&str; 3] = ["register", "auth", "token"];
/// The one class whose requests name an account that need not be the caller's.
const SIGN_IN: &str = "auth";
/// The classes that guard something: waiving their limits is a decision to be written down.
const GUARDED_CLASSES: [&str; 4] = ["register", "auth", "token", "admin"];
/// The names of the limits that tiers and keys have.
const RESERVED: [&str; 7] = [
    "hour",
    "day",
    "month",
    "key-hour",
    "key-day",
    "key-month",
    "default",
];

/// What requests of a class are limited to, besides their tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPolicy {
    pub limits: Vec<ClassLimit>,
    pub on_outage: OnOutage,
    pub mode: Mode,
}

/// One limit; its name is unique in the whole policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassLimit {
    pub name: String,
    pub rate: Rate,
    pub per: Per,
}

/// Whom a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    User,
    Ip,
    Email,
    EmailAndIp,
}

/// What happens while neither store can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// The class's limits are waived.
    #[default]
    Open,
    /// Each instance counts by itself.
    Local,
    /// Requests are refused.
    Closed,
}

/// Whether a limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Enforce,
    /// It counts and reports, and refuses nothing.
    Shadow,
}

/// All classes, of which the default is always there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classes {
    default: ClassPolicy,
    others: BTreeMap<String, ClassPolicy>,
}

impl Classes {
    /// The classes that are given, and those of `built_in` that are not.
    pub(super) fn new(
        given: BTreeMap<Name, GivenClass>,
        built_in: Option<&Self>,
    ) -> Result<Self, PolicyError> {
        let mut classes = BTreeMap::new();
        for (name, class) in given {
            let class = class.checked(name.as_str())?;
            classes.insert(String::from(name), class);
        }
        let left_out: Vec<(&str, &ClassPolicy)> = built_in
            .into_iter()
            .flat_map(Self::iter)
            .filter(|(name, _)| !classes.contains_key(*name))
            .collect();
        let count = classes.len() + left_out.len();
        if count > MAX_CLASSES {
            let problem = format!(
                "there are {count} classes, built-in ones included; at most {MAX_CLASSES} fit"
            );
            return Err(PolicyError::field("classes", problem));
        }
        refuse_clashes(&left_out, &classes)?;
        for (name, class) in left_out {
            classes.insert(name.to_owned(), class.clone());
        }
        let default = classes.remove(DEFAULT).ok_or_else(|| {
            PolicyError::missing("classes.default", "the class of all other routes")
        })?;
        Ok(Self {
            default,
            others: classes,
        })
    }

    /// A class; the default, where there is none of that name.
    pub(super) fn get(&self, name: &str) -> &ClassPolicy {
        self.others.get(name).unwrap_or(&self.default)
    }

    /// Whether users can be counted in a class of that name.
    pub(super) fn counts_users(&self, name: &str) -> bool {
        let exists = name == DEFAULT || self.others.contains_key(name);
        exists && !OPEN_CLASSES.contains(&name)
    }

    /// By name, the default first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ClassPolicy)> {
        let others = self
            .others
            .iter()
            .map(|(name, class)| (name.as_str(), class));
        std::iter::once((DEFAULT, &self.default)).chain(others)
    }
}

/// Refuses two limits of one name. What is built in comes first, so that the one to blame is
/// always one that the owner wrote.
fn refuse_clashes(
    built_in: &[(&str, &ClassPolicy)],
    given: &BTreeMap<String, ClassPolicy>,
) -> Result<(), PolicyError> {
    let given = given.iter().map(|(name, class)| (name.as_str(), class));
    let mut homes = BTreeMap::new();
    for (class, policy) in built_in.iter().copied().chain(given) {
        for (index, limit) in policy.limits.iter().enumerate() {
            let home = path_of(class, index);
            if let Some(other) = homes.insert(limit.name.as_str(), home.clone()) {
                let problem = format!(
                    "it is called {:?}, as {other} is; it should have a name of its own",
                    limit.name
                );
                return Err(PolicyError::field(format!("{home}.name"), problem));
            }
        }
    }
    Ok(())
}

fn path_of(class: &str, index: usize) -> String {
    format!("classes.{class}.limits[{index}]")
}

/// A class as it is written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenClass {
    #[serde(default)]
    limits: Vec<GivenLimit>,
    on_outage: Option<OnOutage>,
    #[serde(default)]
    mode: Mode,
}

impl GivenClass {
    fn checked(self, class: &str) -> Result<ClassPolicy, PolicyError> {
        if class != DEFAULT && RESERVED.contains(&class) {
            let problem = "it is what a tier's or a key's own limit is called; \
                           it should have another name";
            return Err(PolicyError::field(format!("classes.{class}"), problem));
        }
        if self.limits.len() > MAX_LIMITS {
            let problem = format!(
                "there are {} limits; a class has at most {MAX_LIMITS}",
                self.limits.len()
            );
            return Err(PolicyError::field(
                format!("classes.{class}.limits"),
                problem,
            ));
        }
        let limits = self.limits.into_iter().enumerate();
        let limits = limits.map(|(index, limit)| limit.checked(class, &path_of(class, index)));
        let on_outage = if GUARDED_CLASSES.contains(&class) {
            OnOutage::Closed
        } else {
            OnOutage::default()
        };
        Ok(ClassPolicy {
            limits: limits.collect::<Result<_, _>>()?,
            on_outage: self.on_outage.unwrap_or(on_outage),
            mode: self.mode,
        })
    }
}

/// A limit as it is written: a rate alone, or a table.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitTable {
    name: Option<Name>,
    rate: Option<Rate>,
    per: Option<Per>,
}

struct GivenLimit(LimitTable);

impl GivenLimit {
    fn checked(self, class: &str, path: &str) -> Result<ClassLimit, PolicyError> {
        let Self(LimitTable { name, rate, per }) = self;
        let no_rate = || PolicyError::missing(format!("{path}.rate"), Rate::EXPECTED);
        let rate = rate.ok_or_else(no_rate)?;
        let per = per.unwrap_or(Per::User);
        if let Some(problem) = misplaced(per, class) {
            return Err(PolicyError::field(format!("{path}.per"), problem));
        }
        if matches!(per, Per::Email | Per::EmailAndIp) && name.is_none() {
            let expected = "the name of this limit, such as \"auth-email\"";
            return Err(PolicyError::missing(format!("{path}.name"), expected));
        }
        let name = name.map_or_else(|| class.to_owned(), String::from);
        if RESERVED.contains(&name.as_str()) {
            let problem = format!(
                "{name:?} is a name that no class's limit can have; it should have another"
            );
            return Err(PolicyError::field(format!("{path}.name"), problem));
        }
        Ok(ClassLimit { name, rate, per })
    }
}

/// What is wrong with counting `per` in `class`, if anything is.
fn misplaced(per: Per, class: &str) -> Option<&'static str> {
    let is_open = OPEN_CLASSES.contains(&class);
    match per {
        Per::User if is_open => Some(
            "this class's routes are open and have no user to count; \
             it should be { rate = ..., per = \"ip\" }",
        ),
        Per::Ip if !is_open => Some(
            "this class counts users; \"ip\" is for the classes register, auth and token, \
             and it should be \"user\" or left out",
        ),
        Per::Email | Per::EmailAndIp if class != SIGN_IN => Some(
            "only the class auth knows an e-mail address to count; \
             it should be \"user\", or \"ip\" in the classes register and token",
        ),
        Per::User | Per::Ip | Per::Email | Per::EmailAndIp => None,
    }
}

impl<'de> Deserialize<'de> for GivenLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl<'de> Visitor<'de> for LimitVisitor {
            type Value = LimitTable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "{}; or a table of `rate`, `per` and `name`",
                    Rate::EXPECTED
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LimitTable, E> {
                let refused = || E::invalid_value(Unexpected::Str(text), &self);
                Ok(LimitTable {
                    name: None,
                    rate: Some(Rate::read(text).ok_or_else(refused)?),
                    per: None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<LimitTable, A::Error> {
                LimitTable::deserialize(MapAccessDeserializer::new(table))
            }
        }

        deserializer.deserialize_any(LimitVisitor).map(Self)
    }
}

impl Text for Per {
    const EXPECTED: &'static str = "\"user\", \"ip\", \"email\" or \"email+ip\"";

    fn read(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "ip" => Some(Self::Ip),
            "email" => Some(Self::Email),
            "email+ip" => Some(Self::EmailAndIp),
            _ => None,
        }
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Ip => "ip",
            Self::Email => "email",
            Self::EmailAndIp => "email+ip",
        })
    }
}

impl Text for OnOutage {
    const EXPECTED: &'static str = "\"open\", \"local\" or \"closed\"";

    fn read(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "local" => Some(Self::Local),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }
}

impl fmt::Display for OnOutage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Local => "local",
            Self::Closed => "closed",
        })
    }
}

impl Text for Mode {
    const EXPECTED: &'static str = "\"enforce\" or \"shadow\"";

    fn read(text: &str) -> Option<Self> {
        match text {
            "enforce" => Some(Self::Enforce),
            "shadow" => Some(Self::Shadow),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        })
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::text(deserializer)
    }
}

impl<'de> Deserialize<'de> for OnOutage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::text(deserializer)
    }
}
