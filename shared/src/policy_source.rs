//! The policy in force: read when a function starts, read anew while it runs, so that a change
//! takes hold within a minute and without a deployment.
//!
//! Whatever goes wrong with a re-read, the policy at hand goes on, whole. What a policy means is
//! [`crate::limits::policy`]'s business.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::timeout;

use crate::clock::{Clock, Timestamp};
use crate::errors::chain;
use crate::limits::policy::{MAX_BYTES, Policy, PolicyError};
use crate::stores::{PolicyStore, StoreError};

/// From then on it is read anew beside the requests.
const REREAD_AFTER: Duration = Duration::from_secs(30);
/// From then on a request waits for it: Lambda stops whatever runs beside requests when there are
/// none, so that an instance may wake with a policy of yesterday.
const WAIT_AFTER: Duration = Duration::from_mins(1);
/// After a failure the policy at hand goes on that long before another try.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// What a request may lose to the table.
const REREAD_TIMEOUT: Duration = Duration::from_millis(250);
/// What the start may lose to it: a connection (1 s at most) and an answer.
const START_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the policy comes from.
pub enum PolicyOrigin {
    /// Only ever the one that is compiled in.
    BuiltIn,
    /// A file on this machine.
    File(PathBuf),
    /// The admission table; while nothing is there, the policy beside it.
    Table(PolicyStore, Arc<Policy>),
}

/// Why a policy was not read.
#[derive(Debug, thiserror::Error)]
pub enum PolicySourceError {
    #[error("the policy file {} cannot be read", file.display())]
    UnreadableFile {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the policy file {} is refused", file.display())]
    InvalidFile {
        file: PathBuf,
        #[source]
        source: PolicyError,
    },
    #[error("the policy in the admission table cannot be read")]
    UnreadableItem(#[source] StoreError),
    #[error("the admission table did not tell the policy in time")]
    TooSlow,
    #[error("the policy in the admission table is refused")]
    InvalidItem(#[source] PolicyError),
}

/// Knows the policy in force; cheap to clone.
#[derive(Clone)]
pub struct PolicySource(Arc<Source>);

struct Source {
    origin: PolicyOrigin,
    clock: Clock,
    state: RwLock<State>,
    /// Held by whoever reads the policy anew, so that nobody else does.
    rereading: Arc<tokio::sync::Mutex<()>>,
}

struct State {
    policy: Arc<Policy>,
    /// When the policy was last seen to be the one in force; `None` while another stands in for one
    /// that could not be read.
    confirmed_at: Option<Timestamp>,
    /// When the last try failed, if it did.
    failed_at: Option<Timestamp>,
    /// The failures that were logged since.
    told: BTreeSet<String>,
}

/// What a caller has to do for the policy.
#[derive(PartialEq, Eq)]
enum Due {
    Nothing,
    Reread,
    Wait,
}

impl PolicySource {
    /// Reads the policy for the first time. A file that cannot be used is an error, because
    /// whoever named it is there to mend it. A table that cannot be used must not keep a function
    /// from starting: the policy that holds without an item stands in.
    pub async fn open(origin: PolicyOrigin, clock: Clock) -> Result<Self, PolicySourceError> {
        let now = clock.now();
        let read = origin.read(START_TIMEOUT).await;
        let mut state = State {
            policy: origin.without_an_item(),
            confirmed_at: None,
            failed_at: None,
            told: BTreeSet::new(),
        };
        match read {
            Ok(policy) => state.confirm(policy, now),
            Err(error) if matches!(origin, PolicyOrigin::File(_)) => return Err(error),
            Err(error) => state.fail(&error, clock.now()),
        }
        Ok(Self(Arc::new(Source {
            origin,
            clock,
            state: RwLock::new(state),
            rereading: Arc::default(),
        })))
    }

    /// The policy in force. It costs a request nothing but for the first one after a pause, which
    /// waits until the policy is read anew.
    pub async fn current(&self) -> Arc<Policy> {
        match self.0.due() {
            Due::Nothing => {}
            Due::Reread => self.reread_beside(),
            Due::Wait => {
                let _turn = self.0.rereading.lock().await;
                // Somebody may have read it while this caller waited for its turn.
                if self.0.due() == Due::Wait {
                    self.0.reread().await;
                }
            }
        }
        Arc::clone(&self.0.state().policy)
    }

    fn reread_beside(&self) {
        if let Ok(turn) = Arc::clone(&self.0.rereading).try_lock_owned() {
            let source = self.clone();
            tokio::spawn(async move {
                let _turn = turn;
                if source.0.due() != Due::Nothing {
                    source.0.reread().await;
                }
            });
        }
    }
}

impl Source {
    fn due(&self) -> Due {
        if matches!(self.origin, PolicyOrigin::BuiltIn) {
            return Due::Nothing;
        }
        let now = self.clock.now();
        let state = self.state();
        if state
            .failed_at
            .is_some_and(|at| apart(now, at) < RETRY_AFTER)
        {
            return Due::Nothing;
        }
        match state.confirmed_at.map(|at| apart(now, at)) {
            Some(age) if age < REREAD_AFTER => Due::Nothing,
            Some(age) if age < WAIT_AFTER => Due::Reread,
            Some(_) | None => Due::Wait,
        }
    }

    async fn reread(&self) {
        let began = self.clock.now();
        let read = self.origin.read(REREAD_TIMEOUT).await;
        let ended = self.clock.now();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(policy) => state.confirm(policy, began),
            Err(error) => state.fail(&error, ended),
        }
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn confirm(&mut self, policy: Arc<Policy>, at: Timestamp) {
        if self.policy != policy {
            tracing::info!(digest = policy.digest(), "another policy is in force");
            self.policy = policy;
        } else if self.failed_at.is_some() {
            tracing::info!(digest = policy.digest(), "the policy can be read again");
        }
        self.confirmed_at = Some(at);
        self.failed_at = None;
        self.told.clear();
    }

    /// Keeps the policy at hand; each failure is told once, until a read succeeds.
    fn fail(&mut self, error: &PolicySourceError, at: Timestamp) {
        self.failed_at = Some(at);
        if self.told.insert(error.kind()) {
            tracing::error!(
                cause = chain(error),
                in_force = self.policy.digest(),
                "the policy could not be read anew; the one at hand goes on"
            );
        }
    }
}

impl PolicySourceError {
    /// What makes two failures the same: for a policy that is refused, the field too. What lies
    /// further down may differ every time, as request ids do.
    fn kind(&self) -> String {
        match self {
            Self::InvalidFile { source, .. } | Self::InvalidItem(source) => {
                format!("{self}: {source}")
            }
            Self::UnreadableItem(source) => format!("{self}: {source}"),
            Self::UnreadableFile { .. } | Self::TooSlow => self.to_string(),
        }
    }
}

/// How far two moments are apart: a clock that was set back must not make a policy eternal.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

impl PolicyOrigin {
    fn without_an_item(&self) -> Arc<Policy> {
        match self {
            Self::Table(_, policy) => Arc::clone(policy),
            Self::BuiltIn | Self::File(_) => Policy::built_in(),
        }
    }

    async fn read(&self, patience: Duration) -> Result<Arc<Policy>, PolicySourceError> {
        match self {
            Self::BuiltIn => Ok(Policy::built_in()),
            Self::File(file) => read_file(file).await,
            Self::Table(store, otherwise) => {
                let text = timeout(patience, store.get())
                    .await
                    .map_err(|_| PolicySourceError::TooSlow)?
                    .map_err(PolicySourceError::UnreadableItem)?;
                match text {
                    None => Ok(Arc::clone(otherwise)),
                    Some(text) => Policy::parse(&text)
                        .map(Arc::new)
                        .map_err(PolicySourceError::InvalidItem),
                }
            }
        }
    }
}

async fn read_file(file: &Path) -> Result<Arc<Policy>, PolicySourceError> {
    let unreadable = |source| PolicySourceError::UnreadableFile {
        file: file.to_owned(),
        source,
    };
    let path = file.to_owned();
    let text = tokio::task::spawn_blocking(move || text_of(&path))
        .await
        .unwrap_or_else(|lost| Err(std::io::Error::other(lost)))
        .map_err(unreadable)?;
    Policy::parse(&text)
        .map(Arc::new)
        .map_err(|source| PolicySourceError::InvalidFile {
            file: file.to_owned(),
            source,
        })
}

/// The text of a file, up to what is too long for a policy, however long the file is.
fn text_of(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let mut bounded = std::fs::File::open(file)?.take(MAX_BYTES as u64 + 1);
    bounded.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use super::*;
    use crate::config::Environment;
    use crate::stores::{DynamoDb, policy_item_document};

    fn policy(hour: &str) -> String {
        format!("version = 1\n[tiers.anonymous]\n[tiers.free]\nhour = {hour}\n")
    }

    fn hour(policy: &Arc<Policy>) -> Option<u64> {
        policy.tier("free").hour
    }

    struct Time(Arc<AtomicI64>);

    impl Time {
        fn new() -> (Self, Clock) {
            let shift = Arc::new(AtomicI64::new(0));
            (Self(Arc::clone(&shift)), Clock::shifted(shift))
        }

        fn pass(&self, seconds: i64) {
            self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
        }
    }

    /// Until whoever reads the policy beside the requests has done so.
    async fn until_read(source: &PolicySource) {
        drop(source.0.rereading.lock().await);
    }

    /// How the table of a test answers.
    #[derive(Clone)]
    enum Answer {
        Item(String),
        Absent,
        Fault,
        /// Never, as long as anybody waits.
        Silence,
    }

    /// A server of DynamoDB's protocol that knows one answer at a time, and counts the questions.
    struct Table {
        answer: Arc<Mutex<Answer>>,
        asked: Arc<AtomicUsize>,
        store: PolicyStore,
    }

    impl Table {
        fn answering(first: Answer) -> Self {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let answer = Arc::new(Mutex::new(first));
            let asked = Arc::new(AtomicUsize::new(0));
            let (answers, asking) = (Arc::clone(&answer), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut silent = Vec::new();
                for connection in listener.incoming() {
                    let mut connection = connection.unwrap();
                    // The question is one small packet, and always the same.
                    let _ = connection.read(&mut [0; 8_192]).unwrap();
                    asking.fetch_add(1, Ordering::Relaxed);
                    let (status, body) = match answers.lock().unwrap().clone() {
                        Answer::Item(text) => {
                            let now = Timestamp::from_millis(0);
                            let item = policy_item_document(&text, now);
                            ("200 OK", serde_json::json!({"Item": item}).to_string())
                        }
                        Answer::Absent => ("200 OK", "{}".to_owned()),
                        Answer::Fault => {
                            let body = r#"{"__type":"com.amazonaws#AccessDeniedException"}"#;
                            ("400 Bad Request", body.to_owned())
                        }
                        Answer::Silence => {
                            silent.push(connection);
                            continue;
                        }
                    };
                    write!(
                        connection,
                        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\n\
                         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    )
                    .unwrap();
                }
            });
            let env = Environment::default()
                .with("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
                .with("AWS_REGION", "us-east-1")
                .with("AWS_ACCESS_KEY_ID", "test")
                .with("AWS_SECRET_ACCESS_KEY", "test");
            let dynamodb = DynamoDb::from_environment(&env).unwrap();
            Self {
                answer,
                asked,
                store: PolicyStore::new(&dynamodb, "admission".to_owned()),
            }
        }

        fn answer(&self, next: Answer) {
            *self.answer.lock().unwrap() = next;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }

        async fn open(&self, clock: Clock) -> PolicySource {
            let origin = PolicyOrigin::Table(self.store.clone(), Policy::built_in());
            PolicySource::open(origin, clock).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_stops_the_start_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        let open = || PolicySource::open(PolicyOrigin::File(file.clone()), Clock::system());

        let missing = open().await.err().unwrap();
        std::fs::write(&file, policy("-1")).unwrap();
        let invalid = open().await.err().unwrap();

        assert!(chain(&missing).contains("policy.toml cannot be read: "));
        assert!(chain(&invalid).contains("policy.toml is refused: tiers.free.hour: "));
    }

    #[tokio::test]
    async fn a_file_too_long_for_a_policy_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, policy("5") + &"#".repeat(MAX_BYTES)).unwrap();

        let refused = PolicySource::open(PolicyOrigin::File(file), Clock::system()).await;

        assert!(chain(&refused.err().unwrap()).contains("a policy has at most"));
    }

    #[tokio::test]
    async fn a_changed_file_takes_hold_and_costs_no_request_anything_while_requests_come() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, policy("1")).unwrap();
        let (time, clock) = Time::new();
        let source = PolicySource::open(PolicyOrigin::File(file.clone()), clock)
            .await
            .unwrap();
        std::fs::write(&file, policy("2")).unwrap();

        time.pass(29);
        let early = source.current().await;
        until_read(&source).await;
        time.pass(2);
        let same = source.current().await;
        until_read(&source).await;
        let next = source.current().await;

        assert_eq!(
            [hour(&early), hour(&same), hour(&next)],
            [Some(1), Some(1), Some(2)]
        );
    }

    #[tokio::test]
    async fn the_first_request_after_a_pause_has_the_policy_of_now() {
        let table = Table::answering(Answer::Item(policy("1")));
        let (time, clock) = Time::new();
        let source = table.open(clock).await;
        table.answer(Answer::Item(policy("2")));

        time.pass(61);

        assert_eq!(hour(&source.current().await), Some(2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_requests_at_once_one_reads_the_policy() {
        let table = Table::answering(Answer::Item(policy("1")));
        let (time, clock) = Time::new();
        let source = table.open(clock).await;
        assert_eq!(table.asked(), 1);

        for (seconds, asked) in [(10, 1), (30, 2), (61, 3)] {
            time.pass(seconds);
            let callers = (0..50).map(|_| {
                let source = source.clone();
                tokio::spawn(async move { source.current().await })
            });
            for caller in callers.collect::<Vec<_>>() {
                assert_eq!(hour(&caller.await.unwrap()), Some(1));
            }
            until_read(&source).await;
            assert_eq!(table.asked(), asked, "after {seconds} s more");
        }
    }

    #[tokio::test]
    async fn without_an_item_the_built_in_policy_holds_and_again_when_it_is_gone() {
        let table = Table::answering(Answer::Absent);
        let (time, clock) = Time::new();
        let source = table.open(clock).await;

        let first = source.current().await;
        table.answer(Answer::Item(policy("7")));
        time.pass(61);
        let second = source.current().await;
        table.answer(Answer::Absent);
        time.pass(61);
        let third = source.current().await;

        assert!(Arc::ptr_eq(&first, &Policy::built_in()));
        assert_eq!(hour(&second), Some(7));
        assert!(Arc::ptr_eq(&third, &Policy::built_in()));
    }

    #[tokio::test]
    async fn a_reread_that_fails_keeps_the_policy_and_is_tried_again_after_five_seconds() {
        for failure in [
            Answer::Item(policy("-1")),
            Answer::Item("version = ".to_owned()),
            Answer::Fault,
            Answer::Silence,
        ] {
            let table = Table::answering(Answer::Item(policy("1")));
            let (time, clock) = Time::new();
            let source = table.open(clock).await;

            table.answer(failure);
            time.pass(61);
            let kept = source.current().await;
            table.answer(Answer::Item(policy("2")));
            let asked = table.asked();
            time.pass(3);
            let still = source.current().await;
            assert_eq!(table.asked(), asked);
            time.pass(3);
            let mended = source.current().await;

            assert_eq!(
                [hour(&kept), hour(&still), hour(&mended)],
                [Some(1), Some(1), Some(2)]
            );
        }
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_used_at_the_start_leaves_the_built_in_policy_for_a_while() {
        for failure in [
            Answer::Item("version = 2".to_owned()),
            Answer::Fault,
            Answer::Silence,
        ] {
            let table = Table::answering(failure);
            let (time, clock) = Time::new();

            let source = table.open(clock).await;
            let stand_in = source.current().await;
            table.answer(Answer::Item(policy("3")));
            time.pass(6);
            let mended = source.current().await;

            assert!(Arc::ptr_eq(&stand_in, &Policy::built_in()));
            assert_eq!(hour(&mended), Some(3));
        }
    }

    #[tokio::test]
    async fn a_silent_table_costs_a_request_a_quarter_of_a_second_at_most() {
        let table = Table::answering(Answer::Item(policy("1")));
        let (time, clock) = Time::new();
        let source = table.open(clock).await;
        table.answer(Answer::Silence);
        time.pass(61);

        let began = std::time::Instant::now();
        source.current().await;

        // Generous, for a busy machine; without the bound it would be the client's five seconds.
        assert!(began.elapsed() < Duration::from_millis(1_500));
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_does_not_make_a_policy_eternal() {
        let table = Table::answering(Answer::Item(policy("1")));
        let (time, clock) = Time::new();
        let source = table.open(clock).await;
        table.answer(Answer::Item(policy("2")));

        time.pass(-3_600);

        assert_eq!(hour(&source.current().await), Some(2));
    }

    #[test]
    fn each_failure_is_told_once_until_a_read_succeeds() {
        let now = Timestamp::from_millis(0);
        let refused = |text: &str| {
            PolicySourceError::InvalidItem(Policy::parse(text).expect_err("it is invalid"))
        };
        let mut state = State {
            policy: Policy::built_in(),
            confirmed_at: None,
            failed_at: None,
            told: BTreeSet::new(),
        };

        for failure in [
            PolicySourceError::TooSlow,
            refused("version = 2"),
            PolicySourceError::TooSlow,
            refused(&policy("-1")),
            refused("version = 2"),
        ] {
            state.fail(&failure, now);
        }

        assert_eq!(state.told.len(), 3);
        state.confirm(Policy::built_in(), now);
        assert!(state.told.is_empty());
    }
}
