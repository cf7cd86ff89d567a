//! Real concurrency: fifty callers on four connections of two processes, all at once, and at the
//! edges of buckets, where windows move on.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::{Check, Subject, Verdict, Window, WindowId};
use turnpike_shared::stores::ValkeyAddress;

use super::engines::{
    Instances, ask, check, dynamodb_engine_at, fresh_subject, sliding, start_tables,
    timeless_valkey_engine,
};
use crate::support::{OwnEngine, RedisServer};

const LIMIT: u64 = 100;
/// Of each of the two processes.
const CALLERS: usize = 25;
const CONNECTIONS: usize = 2;
/// Of each caller, one after another: 400 in all.
const ASKS: usize = 8;
/// A caller that is told to slow down asks again, so often.
const PATIENCE: usize = 10;
/// What the second process answers with begins with this, wherever in the line.
const ANSWER: &str = "burst: ";
/// An edge of every window below.
const EDGE: i64 = 1_795_204_800_000;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_of_two_processes_get_a_hundred_requests_through_valkey() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);

    hold_under_concurrency(&tables, Some(server.address()), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_of_two_processes_get_a_hundred_requests_through_dynamodb() {
    let tables = start_tables().await;

    hold_under_concurrency(&tables, None, 20).await;
}

/// Everybody asks at once, `edges` times while several windows move on; each time exactly the
/// limit is let through, and what was counted is all there.
pub(super) async fn hold_under_concurrency(
    tables: &OwnEngine,
    valkey: Option<ValkeyAddress>,
    edges: i64,
) {
    let setting = json!({
        "dynamodb": tables.endpoint(),
        "valkey": valkey.as_ref().map(|address| &address.url),
        "is_cluster": valkey.as_ref().is_some_and(|address| address.is_cluster),
    });
    let instances = instances_of(&setting).await;
    let mut second = SecondProcess::start(&setting).await;
    let subject = fresh_subject();
    let mut throttled = 0;

    // The first one makes the windows. Two minutes on, the short one is empty again.
    for edge in 0..=edges {
        let burst = Burst {
            subject: subject.clone(),
            moment: EDGE + edge * 120_000,
            spread: if edge == 0 { 0 } else { 25 },
        };
        let (here, there) = tokio::join!(burst.run(&instances, 0), second.run(&burst));

        assert_eq!(here.admitted + there.admitted, LIMIT, "at edge {edge}");
        throttled += here.throttled + there.throttled;
    }

    let asked = (edges + 1) * 2 * i64::try_from(CALLERS * ASKS).unwrap();
    assert!(throttled * 50 <= asked, "{throttled} times of {asked}");
    let in_the_end = Timestamp::from_millis(EDGE + edges * 120_000).plus(Duration::from_secs(1));
    let checks = checks();
    let verdict = instances
        .decide(0, &ask(&subject, &checks[1..], in_the_end))
        .await;
    let Verdict::Admitted(readings) = verdict.unwrap() else {
        panic!("the long windows have room");
    };
    let counted = (u64::try_from(edges).unwrap() + 1) * LIMIT;
    assert_eq!(readings[1].used, counted + 1);
}

/// Windows whose buckets last a second, ten and sixty.
fn checks() -> [Check; 3] {
    [
        sliding("burst", 60, LIMIT),
        sliding("wide", 600, 1_000_000),
        check(WindowId::HOUR, Window::HOUR, 1_000_000),
    ]
}

async fn instances_of(setting: &Value) -> Instances {
    let dynamodb = setting["dynamodb"].as_str().expect("an address");
    let Some(url) = setting["valkey"].as_str() else {
        let engines = (0..CONNECTIONS).map(|_| dynamodb_engine_at(dynamodb));
        return Instances::DynamoDb(engines.collect());
    };
    let mut engines = vec![];
    for _ in 0..CONNECTIONS {
        let address = ValkeyAddress {
            url: url.to_owned(),
            is_cluster: setting["is_cluster"] == true,
        };
        engines.push(timeless_valkey_engine(address, dynamodb).await);
    }
    Instances::Valkey(engines)
}

/// All callers of a process ask at once.
struct Burst {
    subject: Subject,
    moment: i64,
    /// By how many milliseconds a clock may be wrong.
    spread: i64,
}

#[derive(Default)]
struct Outcome {
    admitted: u64,
    throttled: i64,
}

impl Burst {
    async fn run(&self, instances: &Instances, process: usize) -> Outcome {
        let callers = (0..CALLERS).map(|caller| self.call(instances, process * CALLERS + caller));
        let outcomes = futures_util::future::join_all(callers).await;
        outcomes
            .into_iter()
            .fold(Outcome::default(), |sum, one| Outcome {
                admitted: sum.admitted + one.admitted,
                throttled: sum.throttled + one.throttled,
            })
    }

    async fn call(&self, instances: &Instances, caller: usize) -> Outcome {
        let checks = checks();
        let mut outcome = Outcome::default();
        for turn in 0..ASKS {
            // Anywhere on both sides of the moment.
            let step = i64::try_from((caller * ASKS + turn) * 37).unwrap();
            let off = step % (2 * self.spread + 1) - self.spread;
            let now = Timestamp::from_millis(self.moment + off);
            for _ in 0..PATIENCE {
                let asked = ask(&self.subject, &checks, now);
                match instances.decide(caller, &asked).await {
                    Ok(Verdict::Admitted(_)) => outcome.admitted += 1,
                    Ok(_) => {}
                    Err(_) => {
                        outcome.throttled += 1;
                        continue;
                    }
                }
                break;
            }
        }
        outcome
    }
}

/// This program once more, which does what it reads.
struct SecondProcess {
    _process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl SecondProcess {
    async fn start(setting: &Value) -> Self {
        let (_, module) = module_path!().split_once("::").expect("behind the crate");
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg(format!("{module}::the_second_process"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut second = Self {
            orders: process.stdin.take().unwrap(),
            answers,
            _process: process,
        };
        assert_eq!(second.order(setting).await, "ready");
        second
    }

    async fn run(&mut self, burst: &Burst) -> Outcome {
        let order = json!({
            "subject": burst.subject.to_string(),
            "moment": burst.moment,
            "spread": burst.spread,
        });
        let answer: Value = serde_json::from_str(&self.order(&order).await).unwrap();
        Outcome {
            admitted: answer["admitted"].as_u64().unwrap(),
            throttled: answer["throttled"].as_i64().unwrap(),
        }
    }

    async fn order(&mut self, order: &Value) -> String {
        let line = format!("{order}\n");
        self.orders.write_all(line.as_bytes()).await.unwrap();
        loop {
            let line = self.answers.next_line().await.unwrap();
            let line = line.expect("the second process goes on");
            if let Some((_, answer)) = line.split_once(ANSWER) {
                return answer.to_owned();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is the second process of the other tests, and does what its input says"]
async fn the_second_process() {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let Some(setting) = orders.next_line().await.unwrap() else {
        return;
    };
    let instances = instances_of(&serde_json::from_str(&setting).unwrap()).await;
    answer("ready").await;
    while let Some(order) = orders.next_line().await.unwrap() {
        let order: Value = serde_json::from_str(&order).unwrap();
        let burst = Burst {
            subject: Subject::Other(order["subject"].as_str().unwrap().to_owned()),
            moment: order["moment"].as_i64().unwrap(),
            spread: order["spread"].as_i64().unwrap(),
        };
        let outcome = burst.run(&instances, 1).await;
        let outcome = json!({ "admitted": outcome.admitted, "throttled": outcome.throttled });
        answer(&outcome.to_string()).await;
    }
}

async fn answer(text: &str) {
    let mut output = tokio::io::stdout();
    let line = format!("{ANSWER}{text}\n");
    output.write_all(line.as_bytes()).await.unwrap();
    output.flush().await.unwrap();
}
