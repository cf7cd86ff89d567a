//! The fields of requests about keys, parsed into the domain; what is wrong is told by field.
//!
//! A member that a request leaves out does not come here: what its absence means is the request's
//! own business.

use std::time::Duration;

use serde::Deserialize;

use super::networks::{CidrList, InvalidNetwork, MAX_NETWORKS, Network};
use super::record::{InvalidKeyName, KeyLimits, KeyName, MAX_LIMIT};
use crate::auth::{Scope, ScopeSet};
use crate::clock::Timestamp;
use crate::errors::FieldError;

/// The longest time that an exchanged key works beside its successor.
pub const MAX_OVERLAP: Duration = Duration::from_hours(24);

pub fn name(text: &str) -> Result<KeyName, FieldError> {
    let told = |code, detail| FieldError::new("name", code, detail);
    text.parse().map_err(|invalid| match invalid {
        InvalidKeyName::Empty => told("too-short", "A name has at least one character."),
        InvalidKeyName::TooLong => told("too-long", "A name has at most 100 characters."),
        InvalidKeyName::ControlCharacter => told("invalid", "A name has no control characters."),
    })
}

/// Each scope once or more often; the set is the same.
pub fn scopes(words: &[String]) -> Result<ScopeSet, Vec<FieldError>> {
    if words.len() > Scope::ALL.len() {
        let detail = format!("There are {} scopes.", Scope::ALL.len());
        return Err(vec![FieldError::new("scopes", "too-long", detail)]);
    }
    let scopes = words.iter().enumerate().map(|(at, word)| {
        word.parse::<Scope>().map_err(|_| {
            FieldError::new(
                format!("scopes[{at}]"),
                "invalid",
                "There is no such scope.",
            )
        })
    });
    all_or_errors(scopes).map(ScopeSet::from_iter)
}

/// Networks in CIDR notation, or addresses; an empty list means from everywhere.
pub fn allowed_cidrs(texts: &[String]) -> Result<CidrList, Vec<FieldError>> {
    let too_many = || {
        let detail = format!("A list has at most {MAX_NETWORKS} networks.");
        vec![FieldError::new("allowed_cidrs", "too-long", detail)]
    };
    if texts.len() > MAX_NETWORKS {
        return Err(too_many());
    }
    let networks = texts.iter().enumerate().map(|(at, text)| {
        text.parse::<Network>().map_err(|invalid| {
            let detail = match invalid {
                InvalidNetwork::Malformed => {
                    "This is neither a network such as 192.0.2.0/24 nor an address.".to_owned()
                }
                InvalidNetwork::HostBitsSet { network } => format!(
                    "Bits are set beyond the prefix. Write {network} for the network, or the \
                     address alone."
                ),
            };
            FieldError::new(format!("allowed_cidrs[{at}]"), "invalid", detail)
        })
    });
    CidrList::new(all_or_errors(networks)?).map_err(|_| too_many())
}

/// When a key expires: RFC 3339, after `now`.
pub fn expires_at(text: &str, now: Timestamp) -> Result<Timestamp, FieldError> {
    let told = |code, detail| FieldError::new("expires_at", code, detail);
    let expiry: Timestamp = text.parse().map_err(|_| {
        told(
            "invalid",
            "This is not a time by RFC 3339, such as 2030-01-01T00:00:00Z.",
        )
    })?;
    if expiry > now {
        Ok(expiry)
    } else {
        Err(told("out-of-range", "A key expires in the future."))
    }
}

/// The member `limits` as a request states it.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedLimits {
    /// In any 60 minutes.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub hour: Option<i64>,
    /// In any 24 hours.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub day: Option<i64>,
    /// In a calendar month in UTC.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub month: Option<i64>,
}

/// At least one limit; whoever wants none leaves `limits` out.
pub fn limits(requested: RequestedLimits) -> Result<KeyLimits, Vec<FieldError>> {
    let RequestedLimits { hour, day, month } = requested;
    let limit = |(window, requested): (&str, Option<i64>)| {
        let limit = requested.map(u64::try_from).transpose();
        limit
            .ok()
            .filter(|limit| limit.is_none_or(|limit| limit <= MAX_LIMIT))
            .ok_or_else(|| {
                let detail = "A limit is 0 to 1,000,000,000 requests.";
                FieldError::new(format!("limits.{window}"), "out-of-range", detail)
            })
    };
    let parsed = all_or_errors([("hour", hour), ("day", day), ("month", month)].map(limit))?;
    let limits = KeyLimits {
        hour: parsed[0],
        day: parsed[1],
        month: parsed[2],
    };
    if limits.is_none() {
        let detail = "Give at least one of hour, day and month.";
        Err(vec![FieldError::new("limits", "required", detail)])
    } else {
        Ok(limits)
    }
}

/// How long an exchanged key works beside its successor.
pub fn overlap_seconds(seconds: i64) -> Result<Duration, FieldError> {
    let overlap = u64::try_from(seconds).map(Duration::from_secs).ok();
    overlap
        .filter(|overlap| *overlap <= MAX_OVERLAP)
        .ok_or_else(|| {
            let detail = "An overlap is 0 to 86,400 seconds.";
            FieldError::new("overlap_seconds", "out-of-range", detail)
        })
}

/// Every value, or everything that is wrong.
fn all_or_errors<T>(
    parsed: impl IntoIterator<Item = Result<T, FieldError>>,
) -> Result<Vec<T>, Vec<FieldError>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in parsed {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().copied().map(String::from).collect()
    }

    /// Where it is wrong and what.
    fn told<T: std::fmt::Debug>(result: Result<T, Vec<FieldError>>) -> Vec<(String, &'static str)> {
        let errors = result.unwrap_err();
        errors
            .into_iter()
            .map(|error| (error.field, error.code))
            .collect()
    }

    fn at(field: &str, code: &'static str) -> (String, &'static str) {
        (field.to_owned(), code)
    }

    #[test]
    fn a_name_is_refused_for_its_length_or_its_characters() {
        let long = "x".repeat(101);
        let cases = [(" ", "too-short"), (&long, "too-long"), ("C\nI", "invalid")];

        assert_eq!(name(" CI ").unwrap().as_str(), "CI");
        for (text, code) in cases {
            let error = name(text).unwrap_err();

            assert_eq!(
                (error.field.as_str(), error.code),
                ("name", code),
                "{text:?}"
            );
        }
    }

    #[test]
    fn every_unknown_scope_is_told_by_its_place() {
        let good = scopes(&texts(&["query:run", "profile:read", "query:run"])).unwrap();
        let bad = scopes(&texts(&["query:run", "moon:land", "", "profile:read"]));

        assert_eq!(good.to_string(), "profile:read query:run");
        assert_eq!(scopes(&[]), Ok(ScopeSet::EMPTY));
        assert_eq!(
            told(bad),
            [at("scopes[1]", "invalid"), at("scopes[2]", "invalid")]
        );
        let flood = scopes(&texts(&["moon:land"; 1_000]));
        assert_eq!(told(flood), [at("scopes", "too-long")]);
    }

    #[test]
    fn every_bad_network_is_told_by_its_place_and_one_with_host_bits_by_its_network() {
        let good = allowed_cidrs(&texts(&["192.0.2.0/24", "2001:db8::1"])).unwrap();
        let bad = allowed_cidrs(&texts(&["192.0.2.0/24", "office", "192.0.2.7/24"])).unwrap_err();

        assert_eq!(good.iter().count(), 2);
        assert_eq!(bad[1].detail.matches("192.0.2.0/24").count(), 1);
        assert_eq!(
            told::<()>(Err(bad)),
            [
                at("allowed_cidrs[1]", "invalid"),
                at("allowed_cidrs[2]", "invalid")
            ]
        );
        let flood = allowed_cidrs(&texts(&["office"; 51]));
        assert_eq!(told(flood), [at("allowed_cidrs", "too-long")]);
        assert!(allowed_cidrs(&[]).unwrap().is_everywhere());
    }

    #[test]
    fn a_key_expires_at_a_time_in_the_future() {
        let cases = [
            ("2026-11-20T20:43:16.043Z", None),
            ("2026-11-20T21:43:17+01:00", None),
            ("2026-11-20T20:43:16.042Z", Some("out-of-range")),
            ("2026-11-20T21:43:16+01:00", Some("out-of-range")),
            ("2026-11-21", Some("invalid")),
            ("never", Some("invalid")),
        ];

        for (text, expected) in cases {
            let error = expires_at(text, NOW).err();

            assert_eq!(error.map(|error| error.code), expected, "{text}");
        }
    }

    #[test]
    fn limits_are_whole_numbers_up_to_a_thousand_million_and_at_least_one_is_given() {
        let requested = |hour, day, month| RequestedLimits { hour, day, month };

        let good = limits(requested(Some(0), None, Some(1_000_000_000))).unwrap();
        let bad = limits(requested(Some(-1), Some(5), Some(1_000_000_001)));
        let none = limits(RequestedLimits::default());

        assert_eq!(
            (good.hour, good.day, good.month),
            (Some(0), None, Some(1_000_000_000))
        );
        assert_eq!(
            told(bad),
            [
                at("limits.hour", "out-of-range"),
                at("limits.month", "out-of-range")
            ]
        );
        assert_eq!(told(none), [at("limits", "required")]);
    }

    #[test]
    fn an_overlap_lasts_at_most_a_day() {
        assert_eq!(overlap_seconds(0), Ok(Duration::ZERO));
        assert_eq!(overlap_seconds(86_400), Ok(MAX_OVERLAP));
        for seconds in [-1, 86_401, i64::MAX] {
            let error = overlap_seconds(seconds).unwrap_err();

            assert_eq!(
                (error.field.as_str(), error.code),
                ("overlap_seconds", "out-of-range")
            );
        }
    }
}
