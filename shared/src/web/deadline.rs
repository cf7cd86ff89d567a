//! Until when a request has to be answered.
//!
//! What surrounds a function ends it at some time, whether it has answered or not. Whoever waits for
//! others on a request's behalf stops before that.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use tokio::time::Instant;

/// What is left for the answer itself and for what is done after it, which belongs to the same
/// invocation.
const MARGIN: Duration = Duration::from_secs(2);
/// What a request has that nobody gave a time.
const USUAL: Duration = Duration::from_secs(10);

/// The time by which waiting has to end, so that the request is still answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// For an invocation that is ended after `left`.
    pub fn of_invocation(left: Duration) -> Self {
        // Of little time, half is for the answer.
        let margin = MARGIN.min(left / 2);
        Self(Instant::now() + left.saturating_sub(margin))
    }

    pub fn instant(self) -> Instant {
        self.0
    }

    /// How long may still be waited.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Notes it with the request, for whoever handles that.
    pub fn note(self, request: &mut Request) {
        request.extensions_mut().insert(self);
    }
}

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let noted = parts.extensions.get::<Self>().copied();
        Ok(noted.unwrap_or_else(|| Self::of_invocation(USUAL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_before_the_invocation_does() {
        let cases = [(28_000, 26_000), (10_000, 8_000), (3_000, 1_500), (0, 0)];

        for (left, expected) in cases {
            let deadline = Deadline::of_invocation(Duration::from_millis(left));
            assert_eq!(
                deadline.remaining(),
                Duration::from_millis(expected),
                "{left}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_the_time_that_was_noted_or_the_usual_one() {
        let mut request = Request::new(axum::body::Body::empty());
        let (mut bare, _) = Request::new(axum::body::Body::empty()).into_parts();
        let deadline = Deadline::of_invocation(Duration::from_secs(28));
        deadline.note(&mut request);
        let (mut parts, _) = request.into_parts();

        let noted = Deadline::from_request_parts(&mut parts, &()).await;
        let usual = Deadline::from_request_parts(&mut bare, &()).await;

        assert_eq!(noted, Ok(deadline));
        assert_eq!(usual.unwrap().remaining(), Duration::from_secs(8));
    }
}
