//! What EventBridge Scheduler does: invokes a function at a rate.
//!
//! The first time is one interval after the start, as with a schedule that was just made, and in
//! the machine's own time.

use std::sync::Arc;
use std::time::Duration;

use super::EventFunctions;
use crate::template::Schedule;

/// A rate as the Scheduler writes it, such as `rate(1 hour)` (EventBridge Scheduler User Guide,
/// "Schedule types").
pub(crate) fn parse_rate(expression: &str) -> Option<Duration> {
    let inner = expression.strip_prefix("rate(")?.strip_suffix(')')?;
    let (count, unit) = inner.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// Invokes a function on its schedule, for ever. It logs its failures itself, and the next time
/// is its next attempt.
pub(crate) async fn run_schedule(schedule: Schedule, functions: Arc<EventFunctions>) {
    loop {
        tokio::time::sleep(schedule.rate).await;
        let event = schedule.input.clone();
        let _logged = functions.invoke(&schedule.function, event).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_minutes_hours_or_days() {
        let cases = [
            ("rate(1 hour)", Some(3_600)),
            ("rate(15 minutes)", Some(900)),
            ("rate(2 days)", Some(172_800)),
            ("rate(0 hours)", None),
            ("rate(1 week)", None),
            ("cron(0 * * * ? *)", None),
            ("1 hour", None),
        ];

        for (expression, seconds) in cases {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(parse_rate(expression), expected, "{expression}");
        }
    }
}
