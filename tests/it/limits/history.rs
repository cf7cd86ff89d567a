//! Random histories of one subject: who asked what and when, what was taken back, and which
//! limits changed meanwhile.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::policy::Mode;
use turnpike_shared::limits::{Ask, Check, Subject, Verdict, Window, WindowId};

use super::engines::{Instances, ask, check, sliding};

/// Callers, each with an instance and a clock of its own.
pub(crate) const CALLERS: usize = 3;

/// What happens to one subject.
#[derive(Clone, Debug)]
pub(crate) struct History {
    checks: Vec<Check>,
    start: i64,
    /// By how many milliseconds each caller's clock is wrong.
    skews: [i64; CALLERS],
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Ask {
        caller: usize,
        /// Which of the checks apply.
        which: Vec<bool>,
        cost: u64,
    },
    /// Takes back what an earlier request counted.
    Refund {
        caller: usize,
        of: Index,
    },
    Pass(Passing),
    Limit {
        of: Index,
        to: u64,
    },
    Mode {
        of: Index,
        to: Mode,
    },
}

/// How much time goes by.
#[derive(Clone, Copy, Debug)]
enum Passing {
    Millis(i64),
    /// To the start of the bucket that is this many later, or a little before or after it.
    Buckets {
        of: Index,
        count: i64,
        off: i64,
    },
}

/// What was done and what came of it.
pub(crate) enum Event {
    Asked {
        checks: Vec<Check>,
        now: Timestamp,
        verdict: Verdict,
    },
    /// The request that was asked for as the event with this index was taken back.
    Refunded { asked: usize },
}

/// A refused request that waited as long as its readings said.
pub(crate) struct Waited {
    /// What came of it a millisecond too soon.
    pub(crate) too_soon: Verdict,
    pub(crate) in_time: Verdict,
}

/// Windows that are asked for together. 61 and 100 seconds have no whole milliseconds for buckets.
fn windows() -> impl Strategy<Value = Vec<Check>> {
    let month = || check(WindowId::MONTH, Window::Month, 0);
    let key = |of| check(WindowId::of_key(2, of), of, 0);
    prop_oneof![
        Just(vec![sliding("a", 61, 0)]),
        Just(vec![
            sliding("a", 61, 0),
            sliding("b", 100, 0),
            check(WindowId::HOUR, Window::HOUR, 0)
        ]),
        Just(vec![
            check(WindowId::HOUR, Window::HOUR, 0),
            check(WindowId::DAY, Window::DAY, 0),
            month(),
            sliding("a", 61, 0)
        ]),
        Just(vec![month(), key(Window::HOUR), key(Window::Month)]),
    ]
}

fn limit_of(window: Window) -> BoxedStrategy<u64> {
    match window {
        Window::Sliding { .. } => (1_u64..=12).boxed(),
        // Some of them so large that a lease takes more than is needed at once.
        Window::Month => prop_oneof![1_u64..=30, 100_u64..=2_000].boxed(),
    }
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![6 => Just(Mode::Enforce), 1 => Just(Mode::Shadow)]
}

fn step(checks: usize) -> impl Strategy<Value = Step> {
    let cost = prop_oneof![6 => Just(1_u64), 3 => 2_u64..=4, 1 => 5_u64..=15];
    let count = prop_oneof![6 => 1_i64..=3, 3 => 57_i64..=63, 1 => 64_i64..=250];
    let passing = prop_oneof![
        (0_i64..=1_500).prop_map(Passing::Millis),
        (any::<Index>(), count, -1_i64..=1).prop_map(|(of, count, off)| Passing::Buckets {
            of,
            count,
            off
        }),
    ];
    // Mostly all of them.
    let which = prop::collection::vec(prop::bool::weighted(0.85), checks);
    prop_oneof![
        12 => (0..CALLERS, which, cost).prop_map(|(caller, which, cost)| Step::Ask { caller, which, cost }),
        3 => (0..CALLERS, any::<Index>()).prop_map(|(caller, of)| Step::Refund { caller, of }),
        6 => passing.prop_map(Step::Pass),
        1 => (any::<Index>(), 0_u64..=15).prop_map(|(of, to)| Step::Limit { of, to }),
        1 => (any::<Index>(), mode()).prop_map(|(of, to)| Step::Mode { of, to }),
    ]
}

/// Any history of up to `steps` steps.
pub(crate) fn histories(steps: usize) -> impl Strategy<Value = History> {
    windows().prop_flat_map(move |windows| {
        let limits: Vec<_> = windows.iter().map(|check| limit_of(check.window)).collect();
        let modes = prop::collection::vec(mode(), windows.len());
        let steps = prop::collection::vec(step(windows.len()), 1..=steps);
        // Within a year, and right before a month, a day and an hour begin.
        let start = prop_oneof![
            1_790_000_000_000_i64..1_820_000_000_000,
            (-5_000_i64..0).prop_map(|before| 1_798_761_600_000 + before),
        ];
        // Up to three buckets of the shortest window.
        let skew = prop_oneof![Just(0_i64), -3_050_i64..=3_050];
        let skews = prop::array::uniform3(skew);
        (limits, modes, start, skews, steps).prop_map(
            move |(limits, modes, start, skews, steps)| {
                // A lease moves a month on even if the other month then refuses the request; that can
                // be seen by who comes with a clock from before.
                let months = windows.iter().filter(|check| check.window == Window::Month);
                let skews = if months.count() > 1 {
                    [0; CALLERS]
                } else {
                    skews
                };
                let with_limits = windows.iter().zip(limits).zip(modes);
                History {
                    checks: with_limits
                        .map(|((check, limit), mode)| Check {
                            limit,
                            mode,
                            ..check.clone()
                        })
                        .collect(),
                    start,
                    skews,
                    steps,
                }
            },
        )
    })
}

impl History {
    /// Lets it happen to `subject`. Throttling is not for callers who come one after another.
    pub(crate) async fn play(
        &self,
        engine: &Instances,
        subject: &Subject,
    ) -> (Vec<Event>, Option<Waited>) {
        let mut checks = self.checks.clone();
        let mut events = vec![];
        let mut admitted: Vec<usize> = vec![];
        let mut now = self.start;
        for step in &self.steps {
            match step {
                Step::Ask {
                    caller,
                    which,
                    cost,
                } => {
                    let applying: Vec<Check> = checks
                        .iter()
                        .zip(which)
                        .filter(|(_, applies)| **applies)
                        .map(|(check, _)| Check {
                            cost: *cost,
                            ..check.clone()
                        })
                        .collect();
                    let now = Timestamp::from_millis(now + self.skews[*caller]);
                    let asked = ask(subject, &applying, now);
                    let verdict = engine.decide(*caller, &asked).await;
                    let verdict = verdict.expect("one after another");
                    if matches!(verdict, Verdict::Admitted(_)) {
                        admitted.push(events.len());
                    }
                    events.push(Event::Asked {
                        checks: applying,
                        now,
                        verdict,
                    });
                }
                Step::Refund { caller, of } => {
                    if admitted.is_empty() {
                        continue;
                    }
                    let asked = admitted.swap_remove(of.index(admitted.len()));
                    let Event::Asked {
                        checks,
                        verdict: Verdict::Admitted(readings),
                        ..
                    } = &events[asked]
                    else {
                        unreachable!("it was admitted");
                    };
                    let counted: Vec<_> = checks.iter().cloned().zip(readings.clone()).collect();
                    let refunded = engine.refund(*caller, subject, &counted).await;
                    refunded.expect("one after another");
                    events.push(Event::Refunded { asked });
                }
                Step::Pass(passing) => now = passing.after(now, &checks),
                Step::Limit { of, to } => of.get_mut(&mut checks).limit = *to,
                Step::Mode { of, to } => of.get_mut(&mut checks).mode = *to,
            }
        }
        let waited = wait_until_admitted(engine, subject, &checks, now).await;
        (events, waited)
    }
}

impl Passing {
    fn after(self, now: i64, checks: &[Check]) -> i64 {
        match self {
            Self::Millis(millis) => now + millis,
            Self::Buckets { of, count, off } => {
                let window = of.get(checks).window;
                // A few months are as good as many.
                let count = if window == Window::Month {
                    1 + count % 3
                } else {
                    count
                };
                let bucket = window.bucket_at(Timestamp::from_millis(now)) + count;
                now.max(window.start_of(bucket).millis() + off)
            }
        }
    }
}

/// Asks once more, and, if refused, when the readings say that it would be admitted.
async fn wait_until_admitted(
    engine: &Instances,
    subject: &Subject,
    checks: &[Check],
    now: i64,
) -> Option<Waited> {
    let checks: Vec<Check> = checks
        .iter()
        .map(|check| Check {
            cost: 1,
            ..check.clone()
        })
        .collect();
    let at = async |now| {
        let asked: Ask<'_> = ask(subject, &checks, now);
        engine.decide(0, &asked).await.expect("one after another")
    };
    let Verdict::Refused(readings) = at(Timestamp::from_millis(now)).await else {
        return None;
    };
    let mut refusing = checks
        .iter()
        .zip(&readings)
        .filter(|(check, reading)| check.refuses(reading));
    let latest = refusing.try_fold(Timestamp::from_millis(now), |latest, (_, reading)| {
        Some(latest.max(reading.admits_at?))
    })?;
    Some(Waited {
        too_soon: at(latest.minus(Duration::from_millis(1))).await,
        in_time: at(latest).await,
    })
}
