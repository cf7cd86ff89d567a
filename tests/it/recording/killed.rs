//! Processes that are killed at random under load: what was charged is what was admitted, and the
//! records lack no more than what the killed ones had not written yet.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::{policy_file, records};
use crate::support::{Account, Call, Key, OwnEngine, PASSWORD, client_at, command, signing_keys};

const USERS: usize = 50;
/// What is sent unless `TURNPIKE_TEST_REQUESTS` says how many.
const REQUESTS: usize = 2_000;
const INSTANCES: usize = 3;
const KILLS: usize = 6;
/// How many requests are under way at a time.
const AT_ONCE: usize = 8;

/// `turnpike-local`, one of several on the same tables.
struct Instance {
    base: String,
    child: Mutex<Child>,
    /// The records that it says it has written.
    written: JoinHandle<u64>,
    /// The requests that it answered after it had admitted and counted them.
    admitted: AtomicU64,
    /// The requests of which nobody knows: sent to it and not answered, or answered without a
    /// store that counts.
    unknown: AtomicU64,
}

impl Instance {
    async fn start(engine: &str, policy: &str) -> Self {
        let arguments = ["--dynamodb", engine, "--policy", policy];
        let mut command = command("127.0.0.1:0", &arguments);
        command.envs([
            ("TURNPIKE_ENVIRONMENT", "testing"),
            ("TURNPIKE_ISSUER", "http://127.0.0.1:3000"),
            ("TURNPIKE_SIGNING_KEYS", signing_keys()),
            ("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
            ("TURNPIKE_CURSOR_SECRET", "fedcba9876543210fedcba9876543210"),
            (
                "TURNPIKE_LOG",
                "error,turnpike_shared::usage_recorder=debug",
            ),
        ]);
        let mut child = command.spawn().expect("make test-it builds turnpike-local");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines.next_line().await.unwrap().expect("it greets");
        let base = greeting
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let base = base.expect("it says where it is").to_owned();
        let written = tokio::spawn(async move {
            let mut written = 0;
            while let Some(line) = lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if line["message"] == "usage records are written" {
                    written += line["records"].as_u64().unwrap();
                }
            }
            written
        });
        Self {
            base,
            child: Mutex::new(child),
            written,
            admitted: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        }
    }

    fn pid(&self) -> String {
        let child = self.child.lock().unwrap();
        child.id().expect("it runs").to_string()
    }

    fn signal(&self, signal: &str) {
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args([signal, &self.pid()]).status().unwrap().success());
    }

    /// How many requests it may have counted, and how many records it surely wrote, once it ended.
    async fn counted_and_written(self: Arc<Self>) -> (u64, u64, u64) {
        let instance = Arc::into_inner(self).expect("nobody sends to it any more");
        let written = instance.written.await.unwrap();
        let mut child = instance.child.into_inner().unwrap();
        child.wait().await.unwrap();
        (
            instance.admitted.into_inner(),
            instance.unknown.into_inner(),
            written,
        )
    }
}

/// A user, and what is known of their charge.
struct Customer {
    account: Account,
    key: Key,
    admitted: AtomicU64,
    unknown: AtomicU64,
}

/// What is sent: with which answer, and whether that is charged.
type Kind = (fn(Request<'_>) -> Call, u16, bool);

#[derive(Clone, Copy)]
struct Request<'a> {
    client: &'a reqwest::Client,
    base: &'a str,
    customer: &'a Customer,
}

impl Request<'_> {
    fn call(self, method: reqwest::Method, path: &str) -> Call {
        let url = format!("{}/api/v1{path}", self.base);
        Call::new(self.client.request(method, url))
    }

    fn get(self, path: &str) -> Call {
        self.call(reqwest::Method::GET, path)
    }

    fn with_token(self, call: Call) -> Call {
        call.bearer(&self.customer.account.access_token)
    }

    fn with_key(self, call: Call) -> Call {
        call.key(&self.customer.key.secret)
    }
}

const EXPLAIN: &str = "/users/limits/explain?method=GET&path=/api/v1/users/me";

const MIX: [Kind; 8] = [
    (|to| to.with_token(to.get("/auth/me")), 200, true),
    (|to| to.with_key(to.get("/users/me")), 200, true),
    (|to| to.with_token(to.get("/users/api-keys")), 200, true),
    (|to| to.with_key(to.get("/auth/sessions")), 403, true),
    (
        |to| {
            to.with_token(to.call(reqwest::Method::PATCH, "/users/me"))
                .json(&json!({"full_name": 7}))
        },
        422,
        true,
    ),
    (|to| to.with_token(to.get("/users/quota")), 200, true),
    (|to| to.with_token(to.get(EXPLAIN)), 200, false),
    (|to| to.get("/auth/me").bearer("junk"), 401, false),
];

/// Three processes on one engine, of which one is killed now and then, and replaced.
struct Fleet {
    engine: OwnEngine,
    policy: tempfile::NamedTempFile,
    client: reqwest::Client,
    running: Mutex<Vec<Arc<Instance>>>,
    killed: Mutex<Vec<Arc<Instance>>>,
    /// The requests for which a store was too late: it may have counted what nobody was charged.
    too_late: AtomicU64,
}

impl Fleet {
    async fn start() -> Self {
        let policy = policy_file();
        let fleet = Self {
            engine: OwnEngine::start().await,
            policy,
            client: reqwest::Client::new(),
            running: Mutex::default(),
            killed: Mutex::default(),
            too_late: AtomicU64::new(0),
        };
        for _ in 0..INSTANCES {
            fleet.add_instance().await;
        }
        fleet
    }

    async fn add_instance(&self) {
        let policy = self.policy.path().to_str().unwrap();
        let instance = Instance::start(&self.engine.endpoint(), policy).await;
        self.running.lock().unwrap().push(Arc::new(instance));
    }

    fn any_instance(&self) -> Arc<Instance> {
        let running = self.running.lock().unwrap();
        Arc::clone(&running[random_below(running.len())])
    }

    async fn kill_one(&self) {
        let chosen = {
            let mut running = self.running.lock().unwrap();
            let index = random_below(running.len());
            running.swap_remove(index)
        };
        chosen.signal("-KILL");
        self.killed.lock().unwrap().push(chosen);
        self.add_instance().await;
    }

    async fn customer(&self, number: usize) -> Customer {
        let instance = self.any_instance();
        let base = &instance.base;
        let post = |path: &str| Call::new(self.client.post(format!("{base}/api/v1{path}")));
        let email = format!("ada-{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD});
        let registered = post("/auth/register").json(&body).send().await;
        assert_eq!(registered.status, 201, "{}", registered.text);
        let account = Account::from_answer(&email, &registered.body);
        let made = post("/users/api-keys").bearer(&account.access_token);
        let made = made.json(&json!({"name": "load"})).send().await;
        instance.admitted.fetch_add(2, Ordering::Relaxed);
        Customer {
            account,
            key: Key::from_answer(&made),
            admitted: AtomicU64::new(1),
            unknown: AtomicU64::new(0),
        }
    }

    async fn send(&self, (make, expected, is_charged): Kind, customer: &Customer) {
        let instance = self.any_instance();
        let request = Request {
            client: &self.client,
            base: &instance.base,
            customer,
        };
        let answer = make(request).try_send().await;
        let is_certain = answer.as_ref().is_some_and(|answer| {
            answer.status != 503 && answer.header("turnpike-degraded").is_empty()
        });
        match answer {
            Some(answer) if is_certain => assert_eq!(answer.status, expected, "{}", answer.text),
            Some(_) => _ = self.too_late.fetch_add(1, Ordering::Relaxed),
            None => {}
        }
        if is_charged {
            let count = |admitted: &AtomicU64, unknown: &AtomicU64| {
                let counter = if is_certain { admitted } else { unknown };
                counter.fetch_add(1, Ordering::Relaxed);
            };
            count(&instance.admitted, &instance.unknown);
            count(&customer.admitted, &customer.unknown);
        }
    }

    /// How much of their month a customer has used, by the live counter.
    async fn charged(&self, customer: &Customer) -> u64 {
        let base = self.any_instance().base.clone();
        let quota = Call::new(self.client.get(format!("{base}/api/v1/users/quota")));
        let quota = quota.bearer(&customer.account.access_token).send().await;
        assert_eq!((quota.status, quota.header("turnpike-degraded")), (200, ""));
        let limits = quota.body["limits"].as_array().unwrap();
        let month = limits.iter().find(|limit| limit["name"] == "month");
        month.unwrap()["used"].as_u64().unwrap()
    }
}

fn random_below(bound: usize) -> usize {
    let random = RandomState::new().build_hasher().finish();
    usize::try_from(random % bound as u64).unwrap()
}

fn requests() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner's own setting, not the program's"
    )]
    let wanted = std::env::var("TURNPIKE_TEST_REQUESTS");
    wanted.map_or(REQUESTS, |wanted| wanted.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn charged_is_what_was_admitted_and_recorded_all_but_what_the_killed_had_not_written() {
    let fleet = Fleet::start().await;
    let mut customers = vec![];
    for number in 0..USERS {
        customers.push(fleet.customer(number).await);
    }
    let requests = requests();
    let kill_at: BTreeSet<usize> = (0..KILLS).map(|_| random_below(requests)).collect();

    let next = AtomicUsize::new(0);
    let worker = async || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return;
            }
            if kill_at.contains(&number) {
                fleet.kill_one().await;
            }
            let kind = MIX[random_below(MIX.len())];
            fleet.send(kind, &customers[number % USERS]).await;
        }
    };
    futures_util::future::join_all((0..AT_ONCE).map(|_| worker())).await;
    let mut charged = BTreeMap::new();
    for customer in &customers {
        // Asking is charged too, and is in the figure.
        let used = fleet.charged(customer).await;
        charged.insert(customer.account.id.clone(), used - 1);
    }

    for customer in &customers {
        let (id, used) = (&customer.account.id, charged[&customer.account.id]);
        let admitted = customer.admitted.load(Ordering::Relaxed);
        let at_most = admitted + customer.unknown.load(Ordering::Relaxed);
        assert!(
            (admitted..=at_most).contains(&used),
            "{id}: {used}, admitted {admitted}..={at_most}"
        );
    }

    let survivors = std::mem::take(&mut *fleet.running.lock().unwrap());
    for instance in &survivors {
        instance.signal("-TERM");
    }
    for instance in survivors {
        instance.counted_and_written().await;
    }
    let mut unwritten = 0;
    let killed = std::mem::take(&mut *fleet.killed.lock().unwrap());
    for instance in killed {
        let (admitted, unknown, written) = instance.counted_and_written().await;
        unwritten += (admitted + unknown).saturating_sub(written);
    }
    let mut recorded: BTreeMap<String, u64> = BTreeMap::new();
    for record in records(&client_at(&fleet.engine.endpoint())).await {
        if let Some(caller) = record.caller {
            *recorded.entry(caller.user.to_string()).or_default() += u64::from(record.charged);
        }
    }
    let mut missing = 0;
    for (id, used) in &charged {
        // The survivors have recorded that they were asked.
        let recorded = recorded[id] - 1;
        assert!(
            recorded <= *used,
            "{id}: {recorded} recorded, {used} charged"
        );
        missing += used - recorded;
    }
    let too_late = fleet.too_late.load(Ordering::Relaxed);
    #[expect(
        clippy::print_stdout,
        reason = "the figures of a run, for whoever asks for them"
    )]
    {
        let kills = kill_at.len();
        println!("{kills} kills: {missing} missing, {unwritten} unwritten, {too_late} too late");
    }
    assert!(
        missing <= unwritten + too_late,
        "{missing} missing, {unwritten} unwritten, {too_late} too late"
    );
}
