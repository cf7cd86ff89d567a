//! Logs: one JSON object a line, on standard output, where CloudWatch and terminals read them.
//!
//! The line of a finished request is also its metric, in CloudWatch's embedded metric format, and so
//! is that of a circuit breaker's transition. Dimensions are the function and the class of the
//! status, or the new state, alone; everything else is a field, as each combination of dimensions
//! costs money.

mod json;

use tracing_subscriber::EnvFilter;

use crate::config::LogFilter;

/// The target of the one event that a finished request leaves.
pub(crate) const REQUEST_TARGET: &str = "turnpike::request";

/// The target of the one event that a transition of a circuit breaker leaves, over all instances.
pub(crate) const CIRCUIT_TARGET: &str = "turnpike::circuit";

/// Starts logging. A second call changes nothing.
pub fn init(filter: &LogFilter) {
    let filter = EnvFilter::new(filter.directives());
    // Fails only when logging was started before, by another test of the same process.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(json::SpanFields)
        .event_format(json::JsonLines)
        .try_init();
}
