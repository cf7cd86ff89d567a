//! Any history of batches and events ends in the sums of the records.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tokio::runtime::Runtime;
use turnpike_shared::auth::Tier;
use turnpike_shared::clock::Clock;
use turnpike_shared::ids::{BatchId, UserId};
use turnpike_shared::usage::{UsageCaller, UsageRecord};

use super::model::assert_sums;
use super::{Table, deliver, yesterday_at_23};

const USERS: usize = 3;
const CASES: u32 = 24;

/// A record before its user has an id.
type Drawn = (u32, Option<usize>, &'static str, u16, u32, u32);

#[derive(Clone, Debug)]
enum Step {
    /// The batch is written, perhaps again.
    Write(Index),
    /// One event tells of batches, if they are written, in this order.
    Deliver(Vec<Index>),
    /// Two events are handled at once by two instances.
    DeliverAtOnce(Vec<Index>, Vec<Index>),
}

fn records() -> impl Strategy<Value = Vec<Drawn>> {
    let seconds = 0_u32..7_200;
    let paths = prop::sample::select(vec![
        "/api/v1/users/me",
        "/api/v1/users/quota",
        "/api/v1/{id}",
    ]);
    let statuses = prop::sample::select(vec![200, 404, 500, 503]);
    let record = (
        seconds,
        prop::option::weighted(0.9, 0..USERS),
        paths,
        statuses,
        0_u32..40_000,
        0_u32..3,
    );
    vec(record, 1..12)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || vec(any::<Index>(), 1..5);
    let step = prop_oneof![
        any::<Index>().prop_map(Step::Write),
        some().prop_map(Step::Deliver),
        (some(), some()).prop_map(|(one, other)| Step::DeliverAtOnce(one, other)),
    ];
    vec(step, 0..12)
}

/// A batch as it stands in the history.
struct Batch {
    id: BatchId,
    records: Vec<UsageRecord>,
    /// What the stream told when it was written.
    told: Vec<Value>,
    is_handled: bool,
}

struct History {
    table: Table,
    batches: Vec<Batch>,
}

impl History {
    async fn write(&mut self, index: usize) {
        let Batch { id, records, .. } = &self.batches[index];
        let told = self.table.append_as(*id, records).await;
        self.batches[index].told = told;
    }

    fn told(&mut self, batches: &[Index]) -> Vec<Value> {
        let mut told = vec![];
        for index in batches {
            let index = index.index(self.batches.len());
            let batch = &mut self.batches[index];
            batch.is_handled |= !batch.told.is_empty();
            told.extend(batch.told.clone());
        }
        told
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Write(index) => self.write(index.index(self.batches.len())).await,
            Step::Deliver(batches) => {
                let told = self.told(&batches);
                deliver(&self.table.rollup(), &told).await.unwrap();
            }
            Step::DeliverAtOnce(one, other) => {
                let (one, other) = (self.told(&one), self.told(&other));
                let apps = [self.table.rollup(), self.table.rollup()];
                let (one, other) =
                    futures_util::join!(deliver(&apps[0], &one), deliver(&apps[1], &other));
                one.unwrap();
                other.unwrap();
            }
        }
    }

    /// Writes what is not written yet, and delivers what was not told, the last first and in parts.
    async fn end(&mut self) {
        for index in 0..self.batches.len() {
            if self.batches[index].told.is_empty() {
                self.write(index).await;
            }
        }
        let app = self.table.rollup();
        for batch in self.batches.iter().rev().filter(|batch| !batch.is_handled) {
            for part in &batch.told {
                deliver(&app, std::slice::from_ref(part)).await.unwrap();
            }
        }
    }
}

#[test]
fn batches_written_twice_told_of_late_in_parts_in_any_order_or_at_once_count_once() {
    let runtime = Runtime::new().unwrap();
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let histories = (vec(records(), 1..6), steps());

    let outcome = TestRunner::new(config).run(&histories, |(batches, steps)| {
        runtime.block_on(async {
            let start = yesterday_at_23();
            let users = [(); USERS].map(|()| UserId::new(start));
            let record = |(seconds, user, path, status, duration_ms, charged): Drawn| UsageRecord {
                at: start.plus(Duration::from_secs(seconds.into())),
                caller: user.map(|user| UsageCaller {
                    user: users[user],
                    tier: if user == 0 {
                        Tier::enterprise()
                    } else {
                        Tier::free()
                    },
                }),
                method: "GET".to_owned(),
                path: path.to_owned(),
                status,
                duration_ms,
                charged,
            };
            let batch = |drawn: Vec<Drawn>| Batch {
                id: BatchId::new(Clock::system().now()),
                records: drawn.into_iter().map(record).collect(),
                told: vec![],
                is_handled: false,
            };
            let mut history = History {
                table: Table::start().await,
                batches: batches.into_iter().map(batch).collect(),
            };

            for step in steps {
                history.take(step).await;
            }
            history.end().await;

            let all: Vec<UsageRecord> = history
                .batches
                .iter()
                .flat_map(|batch| batch.records.clone())
                .collect();
            assert_sums(&history.table.usage, &users, &all).await;
        });
        Ok(())
    });

    outcome.unwrap();
}
