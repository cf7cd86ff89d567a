//! When a call is tried again, and after how long.
//!
//! What a try came to is told by whoever made it; nothing is sent and nobody waits in here.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Failure, UpstreamAnswer};
use crate::clock::Timestamp;

/// What the pause before the second try is at most; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What a try needs to be worth beginning.
pub(super) const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// What is known when a try has ended.
pub(super) struct Tried<'a> {
    pub(super) outcome: Result<&'a UpstreamAnswer, &'a Failure>,
    /// How many tries have ended, this one included.
    pub(super) tries: u32,
    pub(super) now: Timestamp,
    /// How much time the call has left.
    pub(super) remaining: Duration,
}

/// How long to wait before another try; `None` when what there is has to do. `random` is evenly
/// distributed between 0 and 1: the pause is anywhere between nothing and its bound ("full jitter",
/// AWS Architecture Blog, "Exponential backoff and jitter").
pub(super) fn pause_before_next(
    method: &Method,
    retries: u32,
    tried: &Tried<'_>,
    random: f64,
) -> Option<Duration> {
    if !method.is_idempotent() || tried.tries > retries {
        return None;
    }
    let asked_for = match tried.outcome {
        Err(Failure::Connect(_) | Failure::Broken(_) | Failure::TimedOut) => None,
        Err(Failure::TooLarge | Failure::Redirected) => return None,
        Ok(answer) => match answer.status {
            // One that says nothing of a time would only be asked more often.
            StatusCode::TOO_MANY_REQUESTS => Some(retry_after(&answer.headers, tried.now)?),
            StatusCode::SERVICE_UNAVAILABLE => retry_after(&answer.headers, tried.now),
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => None,
            // A 500 is about the request, not about the way to who answers it.
            _ => return None,
        },
    };
    let doubled = FIRST_PAUSE.saturating_mul(1 << (tried.tries - 1).min(16));
    let jittered = doubled.min(LONGEST_PAUSE).mul_f64(random);
    let pause = asked_for.unwrap_or_default().max(jittered);
    let is_in_time = tried.remaining >= pause.saturating_add(SHORTEST_TRY);
    is_in_time.then_some(pause)
}

/// How long an answer asks to be left alone (RFC 9110, section 10.2.3); `None` if it does not say,
/// or not in a way that can be read.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What does not fit is longer than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp();
    Some(Timestamp::from_millis(at.saturating_mul(1_000)).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-11-20T20:43:16.042Z
    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);
    const PLENTY: Duration = Duration::from_secs(20);

    fn answer(status: u16, retry_after: Option<&str>) -> UpstreamAnswer {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
        }
        UpstreamAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            is_for_its_reader: false,
            body: hyper::body::Bytes::new(),
        }
    }

    fn pause(outcome: Result<&UpstreamAnswer, &Failure>, remaining: Duration) -> Option<Duration> {
        let tried = Tried {
            outcome,
            tries: 1,
            now: T,
            remaining,
        };
        pause_before_next(&Method::GET, 2, &tried, 0.5)
    }

    fn broken() -> Failure {
        Failure::Broken(std::sync::Arc::from(Box::from("reset")))
    }

    #[test]
    fn what_may_pass_by_itself_is_tried_again() {
        let usual = Some(Duration::from_millis(50));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let cases = [
            (200, None, None),
            (404, None, None),
            (500, None, None),
            (501, None, None),
            (502, None, usual),
            (503, None, usual),
            (503, Some("3"), seconds(3)),
            (503, Some("soon"), usual),
            (504, None, usual),
            (504, Some("3"), usual),
            (429, None, None),
            (429, Some("soon"), None),
            (429, Some("0"), usual),
            (429, Some("3"), seconds(3)),
            (429, Some("20"), None),
            (429, Some("99999999999999999999999"), None),
        ];

        for (status, retry_after, expected) in cases {
            let answer = answer(status, retry_after);
            assert_eq!(
                pause(Ok(&answer), PLENTY),
                expected,
                "{status} {retry_after:?}"
            );
        }
        assert_eq!(pause(Err(&broken()), PLENTY), usual);
        assert_eq!(pause(Err(&Failure::TimedOut), PLENTY), usual);
        assert_eq!(pause(Err(&Failure::TooLarge), PLENTY), None);
        assert_eq!(pause(Err(&Failure::Redirected), PLENTY), None);
    }

    #[test]
    fn only_idempotent_methods_are_tried_again_and_not_more_often_than_the_policy_says() {
        let failure = broken();
        let tried = |tries| Tried {
            outcome: Err(&failure),
            tries,
            now: T,
            remaining: PLENTY,
        };
        let is_retried = |method: &str, tries| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            pause_before_next(&method, 2, &tried(tries), 0.0).is_some()
        };

        for (method, expected) in [
            ("GET", true),
            ("HEAD", true),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
        ] {
            assert_eq!(is_retried(method, 1), expected, "{method}");
        }
        assert!(is_retried("GET", 2) && !is_retried("GET", 3));
    }

    #[test]
    fn a_pause_lies_between_nothing_and_a_bound_that_doubles_up_to_two_seconds() {
        let failure = broken();
        let pause = |tries, random| {
            let tried = Tried {
                outcome: Err(&failure),
                tries,
                now: T,
                remaining: PLENTY,
            };
            pause_before_next(&Method::GET, 20, &tried, random)
                .unwrap()
                .as_millis()
        };

        assert_eq!(
            [1, 2, 3, 5, 6, 20].map(|tries| pause(tries, 1.0)),
            [100, 200, 400, 1_600, 2_000, 2_000]
        );
        assert_eq!([1, 20].map(|tries| pause(tries, 0.0)), [0, 0]);
    }

    #[test]
    fn nobody_waits_for_what_would_come_too_late() {
        let (soon, failure) = (answer(503, Some("3")), broken());

        assert_eq!(pause(Ok(&soon), Duration::from_millis(3_049)), None);
        assert!(pause(Ok(&soon), Duration::from_millis(3_050)).is_some());
        assert_eq!(pause(Err(&failure), Duration::from_millis(99)), None);
    }

    #[test]
    fn a_date_to_come_back_at_is_understood_and_one_that_has_passed_is_now() {
        let cases = [
            ("Fri, 20 Nov 2026 20:43:20 GMT", Some(3_958)),
            ("Fri, 20 Nov 2026 20:43:00 GMT", Some(0)),
            ("Fri, 20 Nov 2026", None),
            ("-5", None),
            ("", None),
        ];

        for (text, expected) in cases {
            let read = retry_after(&answer(503, Some(text)).headers, T);
            assert_eq!(read, expected.map(Duration::from_millis), "{text:?}");
        }
    }
}
