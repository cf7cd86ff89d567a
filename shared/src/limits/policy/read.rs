//! How the leaves of a policy are read: whole numbers within bounds, texts of a form, names.
//!
//! Each tells what it should look like, in the words that the error then has. What several fields
//! must be to one another is not decided here.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// The largest number that a limit can have: more an hour than anybody sends in a year, and far
/// from every overflow.
pub(super) const MAX_LIMIT: u64 = 1_000_000_000;

/// A text of a certain form.
pub(super) trait Text: Sized {
    /// What it should be, as an error goes on after "expected".
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;
}

/// For `deserialize_with`: a text of a form.
pub(super) fn text<'de, D: Deserializer<'de>, T: Text>(deserializer: D) -> Result<T, D::Error> {
    struct TextVisitor<T>(PhantomData<T>);

    impl<T: Text> Visitor<'_> for TextVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(TextVisitor(PhantomData))
}

/// For `deserialize_with`: a list of names, kept as plain texts.
pub(super) fn names<'de, D, T>(deserializer: D) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Into<String>,
{
    let names = Vec::<T>::deserialize(deserializer)?;
    Ok(names.into_iter().map(Into::into).collect())
}

/// Reads whole numbers from `min` to `max`, and nothing that needs rounding.
struct Whole {
    min: u64,
    max: u64,
    may_be_unlimited: bool,
}

impl Visitor<'_> for Whole {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            return write!(f, "the number {}", self.min);
        }
        write!(f, "a whole number from {} to {}", self.min, self.max)?;
        if self.may_be_unlimited {
            f.write_str(", or \"unlimited\"")?;
        }
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<u64>, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<u64>, E> {
        if (self.min..=self.max).contains(&number) {
            Ok(Some(number))
        } else {
            Err(E::invalid_value(Unexpected::Unsigned(number), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<u64>, E> {
        if self.may_be_unlimited && text == "unlimited" {
            Ok(None)
        } else {
            Err(E::invalid_value(Unexpected::Str(text), &self))
        }
    }
}

/// For `deserialize_with`: a limit, or `None` where it is "unlimited".
pub(super) fn bound<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Whole {
        min: 0,
        max: MAX_LIMIT,
        may_be_unlimited: true,
    })
}

/// For `deserialize_with`: a whole number from `MIN` to `MAX`, of any type that holds `MAX`.
pub(super) fn whole<'de, const MIN: u64, const MAX: u64, D, T>(
    deserializer: D,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let whole = Whole {
        min: MIN,
        max: MAX,
        may_be_unlimited: false,
    };
    deserializer
        .deserialize_any(whole)?
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| de::Error::custom(format!("it does not fit; at most {MAX} does")))
}

/// For `deserialize_with`: as [`whole`], for a field that may be left out.
pub(super) fn maybe_whole<'de, const MIN: u64, const MAX: u64, D, T>(
    deserializer: D,
) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    whole::<MIN, MAX, D, T>(deserializer).map(Some)
}

/// For `deserialize_with`: whole seconds from `MIN` to `MAX`.
pub(super) fn seconds<'de, const MIN: u64, const MAX: u64, D>(
    deserializer: D,
) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    whole::<MIN, MAX, D, u64>(deserializer).map(Duration::from_secs)
}

/// What tiers, classes, limits and upstreams are called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for Name {
    const EXPECTED: &'static str = "a name of 1 to 32 of the characters a-z, 0-9, _ and -, \
                                    the first of them a letter";

    fn read(text: &str) -> Option<Self> {
        is_name(text, b"_-", 32).then(|| Self(text.to_owned()))
    }
}

/// What a tier has and an upstream may require.
pub(super) struct Feature(String);

impl Text for Feature {
    const EXPECTED: &'static str = "a feature's name of 1 to 64 of the characters a-z, 0-9 and _, \
                                    the first of them a letter";

    fn read(text: &str) -> Option<Self> {
        is_name(text, b"_", 64).then(|| Self(text.to_owned()))
    }
}

fn is_name(text: &str, besides: &[u8], max_length: usize) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= max_length
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || besides.contains(&byte)
        })
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl From<Feature> for String {
    fn from(feature: Feature) -> Self {
        feature.0
    }
}
