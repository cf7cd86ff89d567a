//! Rates: how many in how long, as a policy writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::read::{self, MAX_LIMIT, Text};

/// The longest window: the longest month.
const MAX_WINDOW_SECONDS: u32 = 31 * 24 * 60 * 60;

const UNITS: [(&str, u32); 4] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 60 * 60),
    ("day", 24 * 60 * 60),
];

/// At most `limit` in any `window_seconds`. A limit of zero admits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub limit: u64,
    pub window_seconds: u32,
}

/// A text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate; it should be {}", Rate::EXPECTED)]
pub struct InvalidRate;

impl Text for Rate {
    const EXPECTED: &'static str = "a rate such as \"20/minute\" or \"5/900s\": a number up to \
                                    1000000000, then /second, /minute, /hour, /day or /<seconds>s \
                                    with 1 to 2678400 seconds";

    fn read(text: &str) -> Option<Self> {
        let (limit, window) = text.split_once('/')?;
        let unit = UNITS.iter().find(|(name, _)| *name == window);
        let window_seconds = match unit {
            Some((_, seconds)) => u64::from(*seconds),
            None => digits(window.strip_suffix('s')?)?,
        };
        let rate = Self {
            limit: digits(limit)?,
            window_seconds: u32::try_from(window_seconds).ok()?,
        };
        let is_sane =
            rate.limit <= MAX_LIMIT && (1..=MAX_WINDOW_SECONDS).contains(&rate.window_seconds);
        is_sane.then_some(rate)
    }
}

/// A number written in digits alone: `parse` would take a plus sign too.
fn digits(text: &str) -> Option<u64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        Self::read(text).ok_or(InvalidRate)
    }
}

/// The shortest way to write it, which can be read again.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, seconds)| *seconds == self.window_seconds);
        match unit {
            Some((name, _)) => write!(f, "{}/{name}", self.limit),
            None => write!(f, "{}/{}s", self.limit, self.window_seconds),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::text(deserializer)
    }
}
