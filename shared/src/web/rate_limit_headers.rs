//! What an answer says of its limits: the structured fields of
//! draft-ietf-httpapi-ratelimit-headers-11, the older `X-RateLimit-*`, and what is away.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, StringRef, TokenRef, key_ref};

use crate::admission::Degraded;
use crate::clock::Timestamp;
use crate::limits::{LimitReport, LimitState};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMITS: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const DEGRADED: HeaderName = HeaderName::from_static("turnpike-degraded");

/// The headers, for a page of another origin that is to read them.
pub(super) const NAMES: [HeaderName; 6] = [POLICY, LIMITS, X_LIMIT, X_REMAINING, X_RESET, DEGRADED];

pub(super) fn add(
    headers: &mut HeaderMap,
    report: &LimitReport,
    degraded: Degraded,
    now: Timestamp,
) {
    let mut insert = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    };
    insert(POLICY, list(report, policy_of));
    insert(LIMITS, list(report, |state| state_of(state, now)));
    if let Some(tightest) = report.tightest() {
        insert(X_LIMIT, Some(tightest.limit.to_string()));
        insert(X_REMAINING, Some(tightest.remaining().to_string()));
        let reset = tightest
            .reset_at
            .map(|at| (at.millis() + 999).div_euclid(1_000));
        insert(X_RESET, reset.map(|seconds| seconds.to_string()));
    }
    let mut away = ListSerializer::new();
    for name in degraded.names() {
        if let Ok(token) = TokenRef::from_str(name) {
            let _ = away.bare_item(token);
        }
    }
    insert(DEGRADED, away.finish());
}

/// How long a refused client is to wait: never not at all, whatever the store's clock says.
pub(super) fn seconds_to_wait(until: Timestamp, now: Timestamp) -> u32 {
    whole_seconds(until.since(now)).max(1)
}

/// A duration in whole seconds, rounded up: whoever waits that long has waited long enough.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

type Parameters = Vec<(&'static KeyRef, u64)>;

fn policy_of(state: &LimitState) -> Parameters {
    let window = state.window.seconds();
    let quota = (key_ref("q"), state.limit);
    let window = window.map(|seconds| (key_ref("w"), u64::from(seconds)));
    std::iter::once(quota).chain(window).collect()
}

fn state_of(state: &LimitState, now: Timestamp) -> Parameters {
    let seconds = |at: Timestamp| {
        if state.refused {
            seconds_to_wait(at, now)
        } else {
            whole_seconds(at.since(now))
        }
    };
    let remaining = (key_ref("r"), state.remaining());
    let reset = state.reset_at;
    let reset = reset.map(|at| (key_ref("t"), u64::from(seconds(at))));
    std::iter::once(remaining).chain(reset).collect()
}

/// A list of the limits' names (RFC 9651, section 3.1), each with its parameters.
fn list(report: &LimitReport, parameters: impl Fn(&LimitState) -> Parameters) -> Option<String> {
    let mut list = ListSerializer::new();
    for state in report.enforced() {
        let Ok(name) = StringRef::from_str(&state.name) else {
            continue;
        };
        let mut item = list.bare_item(name);
        for (key, value) in parameters(state) {
            // A structured field's integers have 15 digits at most.
            let value = i64::try_from(value)
                .unwrap_or(i64::MAX)
                .min(999_999_999_999_999);
            if let Ok(value) = sfv::Integer::try_from(value) {
                item = item.parameter(key, value);
            }
        }
    }
    list.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::policy::Mode;
    use crate::limits::{Source, Window};

    #[test]
    fn both_families_say_how_the_limits_stand() {
        let now = Timestamp::from_millis(1_795_207_396_500);
        let state = |name: &'static str, limit, used, window| LimitState {
            name: name.into(),
            limit,
            used,
            window,
            source: Source::Tier,
            mode: Mode::Enforce,
            reset_at: Some(Timestamp::from_millis(1_795_207_399_501)),
            refused: false,
        };
        let states = vec![
            state("hour", 100, 1, Window::HOUR),
            state("month", 20_000, 19_999, Window::Month),
        ];
        let mut headers = HeaderMap::new();

        add(
            &mut headers,
            &LimitReport { states },
            Degraded::default(),
            now,
        );

        let shown = |name: &HeaderName| headers[name].to_str().unwrap().to_owned();
        assert_eq!(shown(&POLICY), r#""hour";q=100;w=3600, "month";q=20000"#);
        assert_eq!(shown(&LIMITS), r#""hour";r=99;t=4, "month";r=1;t=4"#);
        assert_eq!(shown(&X_LIMIT), "20000");
        assert_eq!(shown(&X_REMAINING), "1");
        assert_eq!(shown(&X_RESET), "1795207400");
        assert!(!headers.contains_key(DEGRADED));
    }

    #[test]
    fn who_is_refused_is_never_told_to_come_again_at_once() {
        let now = Timestamp::from_millis(1_795_207_396_500);
        let state = LimitState {
            name: "token".into(),
            limit: 2,
            used: 2,
            window: Window::Sliding { seconds: 2 },
            source: Source::Class,
            mode: Mode::Enforce,
            reset_at: Some(now),
            refused: true,
        };
        let mut headers = HeaderMap::new();

        let states = vec![state];
        add(
            &mut headers,
            &LimitReport { states },
            Degraded::default(),
            now,
        );

        assert_eq!(headers[LIMITS], r#""token";r=0;t=1"#);
        assert_eq!(seconds_to_wait(now, now), 1);
    }

    #[test]
    fn what_is_away_is_named_and_unlimited_callers_have_no_limits() {
        let degraded = Degraded {
            valkey: true,
            revocation: true,
            ..Degraded::default()
        };
        let mut headers = HeaderMap::new();

        add(
            &mut headers,
            &LimitReport::default(),
            degraded,
            Timestamp::from_millis(0),
        );

        assert_eq!(headers.len(), 1);
        assert_eq!(headers[DEGRADED], "valkey, revocation");
    }
}
