//! Standing: nobody is let in, or counted, whose credential has ended; and Valkey's copy of it is
//! worth no more than whoever changes it can take away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use turnpike_shared::auth::session::{SessionEnd, SessionOrigin};
use turnpike_shared::auth::{PasswordHash, Session, Tier, User};
use turnpike_shared::clock::Clock;
use turnpike_shared::ids::{SessionId, UserId, unprefixed};
use turnpike_shared::limits::{Ask, Check, Proof, Subject, Verdict, Window, WindowId};
use turnpike_shared::stores::{
    AccountStore, DynamoDbEngine, LinkState, NewAccount, Registration, ValkeyEngine, ValkeyError,
    ValkeyLink, Verification,
};

use super::engines::{
    ADMISSION_TABLE, accounts_at, check, client_at, decide_when_linked, dynamodb_engine_at,
    start_tables, valkey_engine,
};
use crate::support::{CountingProxy, OldData, OwnEngine, RedisServer};

/// A user who is signed in.
struct Member {
    user: UserId,
    session: SessionId,
    subject: Subject,
    proof: Proof,
    checks: [Check; 2],
}

impl Member {
    async fn register(tables: &OwnEngine) -> Self {
        let now = Clock::system().now();
        let user = User {
            id: UserId::new(now),
            email: format!("{}@example.com", unprefixed(now)).parse().unwrap(),
            full_name: None,
            tier: Tier::free(),
            roles: vec![],
            is_active: true,
            is_verified: true,
            created_at: now,
            updated_at: now,
            quota_override: None,
            keys_revoked: None,
            epoch: 7,
        };
        let session = Session::begin(user.id, &SessionOrigin::default(), now);
        let account = NewAccount {
            user: user.clone(),
            password: PasswordHash::stored("none".to_owned()),
            session: Some(session.clone()),
            verification: Verification::AlreadyDone,
        };
        let registered = accounts_at(&tables.endpoint())
            .register(&account, now)
            .await;
        assert_eq!(registered.unwrap(), Registration::Done);
        Self {
            user: user.id,
            session: session.id,
            subject: Subject::User(user.id),
            proof: Proof {
                epoch: user.epoch,
                session: Some(session.id),
            },
            checks: [
                check(WindowId::HOUR, Window::HOUR, 50),
                check(WindowId::MONTH, Window::Month, 1_000),
            ],
        }
    }

    fn ask(&self) -> Ask<'_> {
        self.ask_with(self.proof)
    }

    fn ask_with(&self, proof: Proof) -> Ask<'_> {
        Ask {
            subject: &self.subject,
            proof: Some(proof),
            checks: &self.checks,
            now: Clock::system().now(),
        }
    }

    async fn sign_out(&self, tables: &OwnEngine) {
        let accounts: AccountStore = accounts_at(&tables.endpoint());
        let now = Clock::system().now();
        let ended = accounts.end_session(self.user, self.session, SessionEnd::SignedOut, now);
        assert!(ended.await.unwrap());
    }

    async fn set(&self, tables: &OwnEngine, name: &str, value: AttributeValue) {
        let update = client_at(&tables.endpoint())
            .update_item()
            .table_name(ADMISSION_TABLE)
            .key("pk", AttributeValue::S(self.subject.to_string()))
            .key("sk", AttributeValue::S("ADMISSION".to_owned()))
            .update_expression("SET #name = :value")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value);
        update.send().await.unwrap();
    }
}

enum Either {
    DynamoDb(DynamoDbEngine),
    Valkey(Box<ValkeyEngine>),
}

impl Either {
    async fn decide(&self, ask: &Ask<'_>) -> Verdict {
        match self {
            Self::DynamoDb(engine) => engine.decide(ask).await.unwrap(),
            Self::Valkey(engine) => engine.decide(ask).await.unwrap(),
        }
    }

    /// What whoever changes a standing does.
    async fn forget(&self, subject: &Subject) {
        if let Self::Valkey(engine) = self {
            engine.forget(subject).await.unwrap();
        }
    }
}

async fn on_valkey(server: &RedisServer, endpoint: &str) -> ValkeyEngine {
    valkey_engine(server.address(), endpoint, Clock::system()).await
}

fn used(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Admitted(readings) => readings[0].used,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_a_credential_that_stands_is_admitted_and_counted_on_dynamodb() {
    let tables = start_tables().await;
    let engine = dynamodb_engine_at(&tables.endpoint());

    admits_only_what_stands(&tables, &Either::DynamoDb(engine)).await;
}

#[tokio::test]
async fn only_a_credential_that_stands_is_admitted_and_counted_on_valkey() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let engine = on_valkey(&server, &tables.endpoint()).await;

    admits_only_what_stands(&tables, &Either::Valkey(Box::new(engine))).await;
}

async fn admits_only_what_stands(tables: &OwnEngine, engine: &Either) {
    let member = Member::register(tables).await;
    let stranger = Member {
        subject: Subject::User(UserId::new(Clock::system().now())),
        ..Member::register(tables).await
    };
    let proof = member.proof;
    let epoch = |epoch| Proof { epoch, ..proof };
    let session = |session| Proof { session, ..proof };
    let another = Some(SessionId::new(Clock::system().now()));

    assert_eq!(used(&engine.decide(&member.ask()).await), 1);
    let by_key = engine.decide(&member.ask_with(session(None))).await;
    assert_eq!(used(&by_key), 2);
    for (case, ask, expected) in [
        ("an old epoch", member.ask_with(epoch(6)), Verdict::Outdated),
        (
            "a newer epoch",
            member.ask_with(epoch(8)),
            Verdict::Outdated,
        ),
        (
            "no session",
            member.ask_with(session(another)),
            Verdict::Invalid,
        ),
        ("no user", stranger.ask(), Verdict::Invalid),
        (
            "no user's key",
            stranger.ask_with(session(None)),
            Verdict::Invalid,
        ),
    ] {
        assert_eq!(engine.decide(&ask).await, expected, "{case}");
    }
    assert_eq!(used(&engine.decide(&member.ask()).await), 3, "none counted");

    member
        .set(tables, "ep", AttributeValue::N("8".to_owned()))
        .await;
    engine.forget(&member.subject).await;
    assert_eq!(engine.decide(&member.ask()).await, Verdict::Outdated);
    let reloaded = engine.decide(&member.ask_with(epoch(8))).await;
    assert_eq!(used(&reloaded), 4);

    member.sign_out(tables).await;
    engine.forget(&member.subject).await;
    let signed_out = engine.decide(&member.ask_with(epoch(8))).await;
    assert_eq!(signed_out, Verdict::Invalid);
    let key = Proof {
        epoch: 8,
        session: None,
    };
    assert_eq!(used(&engine.decide(&member.ask_with(key)).await), 5);

    member
        .set(tables, "active", AttributeValue::Bool(false))
        .await;
    engine.forget(&member.subject).await;
    assert_eq!(engine.decide(&member.ask_with(key)).await, Verdict::Invalid);
}

#[tokio::test]
async fn without_limits_the_credential_is_looked_at_all_the_same() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let valkey = on_valkey(&server, &tables.endpoint()).await;
    let dynamodb = dynamodb_engine_at(&tables.endpoint());

    for engine in [Either::DynamoDb(dynamodb), Either::Valkey(Box::new(valkey))] {
        let member = Member::register(&tables).await;
        let unlimited = |ask| Ask { checks: &[], ..ask };
        let admitted = engine.decide(&unlimited(member.ask())).await;
        member.sign_out(&tables).await;
        engine.forget(&member.subject).await;
        let refused = engine.decide(&unlimited(member.ask())).await;

        assert_eq!(admitted, Verdict::Admitted(vec![]));
        assert_eq!(refused, Verdict::Invalid);
    }
}

#[tokio::test]
async fn a_copy_is_installed_once_and_read_anew_when_it_was_taken_away() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let proxy = CountingProxy::start(&tables).await;
    let engine = on_valkey(&server, &proxy.endpoint).await;
    let mut member = Member::register(&tables).await;
    // A month is leased by calls of its own.
    member.checks[1] = check(WindowId::DAY, Window::DAY, 50);
    let mut calls = vec![];

    for is_forgotten in [false, false, false, true, false] {
        if is_forgotten {
            engine.forget(&member.subject).await.unwrap();
        }
        let before = proxy.calls();
        let verdict = engine.decide(&member.ask()).await.unwrap();
        assert!(matches!(verdict, Verdict::Admitted(_)));
        calls.push(proxy.calls() - before);
    }

    // A link that was just made asks once what could not be taken away while there was none.
    assert_eq!(calls, [2, 0, 0, 1, 0]);
}

#[tokio::test]
async fn a_copy_is_trusted_for_a_minute() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let proxy = CountingProxy::start(&tables).await;
    let clock = Clock::shifted(Arc::default());
    let engine = valkey_engine(server.address(), &proxy.endpoint, clock.clone()).await;
    let mut member = Member::register(&tables).await;
    member.checks[1] = check(WindowId::DAY, Window::DAY, 50);
    let installed = clock.now();
    let mut calls = vec![];

    for later in [0, 59_999, 60_000, 119_999, 120_000] {
        let now = installed.plus(Duration::from_millis(later));
        let before = proxy.calls();
        let asked = Ask {
            now,
            ..member.ask()
        };
        let verdict = engine.decide(&asked).await.unwrap();
        assert!(matches!(verdict, Verdict::Admitted(_)));
        calls.push(proxy.calls() - before);
    }

    // A link that was just made asks once what could not be taken away while there was none.
    assert_eq!(calls, [2, 0, 1, 0, 1]);
}

#[tokio::test]
async fn who_read_an_older_standing_cannot_install_it_after_it_was_taken_away() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let answers = HeldAnswers::start(&tables).await;
    let slow = on_valkey(&server, &answers.endpoint).await;
    let other = on_valkey(&server, &tables.endpoint()).await;
    let member = Arc::new(Member::register(&tables).await);
    let asking = tokio::spawn({
        let member = Arc::clone(&member);
        async move { slow.decide(&member.ask()).await.unwrap() }
    });
    answers.has_read.notified().await;

    other.forget(&member.subject).await.unwrap();
    member.sign_out(&tables).await;
    other.forget(&member.subject).await.unwrap();
    answers.go_on.notify_one();
    // It reads once more, and this time what it reads is new.
    answers.has_read.notified().await;
    answers.go_on.notify_one();

    assert_eq!(asking.await.unwrap(), Verdict::Invalid);
    let afterwards = other.decide(&member.ask()).await.unwrap();
    assert_eq!(afterwards, Verdict::Invalid);
}

#[tokio::test]
async fn copies_from_before_an_outage_count_as_absent() {
    let (tables, mut server) = (start_tables().await, RedisServer::start().await);
    let engine = on_valkey(&server, &tables.endpoint()).await;
    let member = Member::register(&tables).await;
    let admitted = engine.decide(&member.ask()).await.unwrap();
    assert_eq!(used(&admitted), 1);
    server.save().await;
    member.sign_out(&tables).await;
    engine.forget(&member.subject).await.unwrap();

    server.restart(OldData::Kept).await;
    let verdict = decide_when_linked(&engine, &member.ask()).await;

    assert_eq!(verdict, Verdict::Invalid);
    // It did come back with what it had saved.
    let key = Proof {
        session: None,
        ..member.proof
    };
    let by_key = engine.decide(&member.ask_with(key)).await.unwrap();
    assert_eq!(used(&by_key), 2);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_its_copies_are_not_trusted_afterwards() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let clock = Clock::system();
    let link = ValkeyLink::new(server.address(), clock.clone(), Duration::from_millis(500));
    link.connect().await;
    let truth = dynamodb_engine_at(&tables.endpoint());
    let engine = ValkeyEngine::new(link, truth, clock);
    let member = Member::register(&tables).await;
    let admitted = engine.decide(&member.ask()).await.unwrap();
    assert_eq!(used(&admitted), 1);

    server.pause();
    let started = Instant::now();
    let hanging = engine.decide(&member.ask()).await;
    let given_up = engine.decide(&member.ask()).await;
    member.sign_out(&tables).await;
    let unheard = engine.forget(&member.subject).await;
    assert!(matches!(hanging, Err(ValkeyError::Away(_))));
    assert!(matches!(given_up, Err(ValkeyError::NoLink)));
    assert!(matches!(unheard, Err(ValkeyError::NoLink)));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(matches!(engine.link().state(), LinkState::Down { .. }));

    server.resume();
    let verdict = decide_when_linked(&engine, &member.ask()).await;
    assert_eq!(verdict, Verdict::Invalid);
    assert_eq!(engine.link().state(), LinkState::Up);
}

/// Hands calls on to an engine, and keeps each answer back until it may go on.
struct HeldAnswers {
    endpoint: String,
    has_read: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[derive(Clone)]
struct Hold {
    to: String,
    client: reqwest::Client,
    has_read: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl HeldAnswers {
    async fn start(tables: &OwnEngine) -> Self {
        let hold = Hold {
            to: tables.endpoint(),
            client: reqwest::Client::new(),
            has_read: Arc::default(),
            go_on: Arc::default(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let answers = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            has_read: Arc::clone(&hold.has_read),
            go_on: Arc::clone(&hold.go_on),
        };
        let router = Router::new().fallback(hold_back).with_state(hold);
        tokio::spawn(async move { axum::serve(listener, router).await });
        answers
    }
}

async fn hold_back(
    State(hold): State<Hold>,
    mut headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Bytes) {
    headers.remove("host");
    let request = hold.client.post(&hold.to).headers(headers).body(body);
    let response = request.send().await.unwrap();
    let (status, answer) = (response.status(), response.bytes().await.unwrap());
    hold.has_read.notify_one();
    hold.go_on.notified().await;
    (status, answer)
}
