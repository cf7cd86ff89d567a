//! Why a call of an upstream came to nothing, for the caller's code and for the client.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::errors::{Problem, ProblemCode};
use crate::stores::SecretError;

/// What went wrong below.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It could not be reached, broke off, did not speak HTTP, or redirected to somewhere else.
    #[error("the upstream failed")]
    Failed(#[source] Failure),
    #[error("the upstream's answer is too large")]
    TooLarge,
    #[error("the upstream did not answer in time")]
    Timeout,
    /// It is being left alone; it was not called.
    #[error("the upstream's circuit breaker is open")]
    CircuitOpen { retry_after: Duration },
    /// It was not called, because the secret that the policy names for it cannot be had.
    #[error("the upstream's secret cannot be had")]
    Secret(#[source] Arc<SecretError>),
}

/// How one try failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error("no connection could be made")]
    Connect(#[source] Cause),
    #[error("the connection broke, or what came is not HTTP")]
    Broken(#[source] Cause),
    #[error("there was no whole answer in time")]
    TimedOut,
    #[error("the answer is larger than is taken")]
    TooLarge,
    #[error("it redirected to where no request may go")]
    Redirected,
}

impl From<Failure> for UpstreamError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut => Self::Timeout,
            Failure::TooLarge => Self::TooLarge,
            Failure::Connect(_) | Failure::Broken(_) | Failure::Redirected => Self::Failed(failure),
        }
    }
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        let (code, detail) = match &error {
            UpstreamError::Failed(_) => (
                ProblemCode::UpstreamFailed,
                "The upstream could not be reached or did not answer as it should.",
            ),
            UpstreamError::TooLarge => (
                ProblemCode::UpstreamTooLarge,
                "The upstream's answer is larger than 4 MiB.",
            ),
            UpstreamError::Timeout => (
                ProblemCode::UpstreamTimeout,
                "The upstream did not answer in time.",
            ),
            UpstreamError::CircuitOpen { retry_after } => {
                let problem = Self::new(
                    ProblemCode::CircuitOpen,
                    "The upstream has failed repeatedly and is being left alone for a while.",
                );
                return Self {
                    retry_after: Some(whole_seconds(*retry_after)),
                    ..problem
                };
            }
            UpstreamError::Secret(cause) if cause.is_transient() => {
                return Self::unavailable(error);
            }
            UpstreamError::Secret(_) => {
                return Self::internal(error);
            }
        };
        Self::new(code, detail).caused_by(error)
    }
}

/// Rounded up, and one at least.
fn whole_seconds(duration: Duration) -> u32 {
    let rounded = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}
