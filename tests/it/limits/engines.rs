//! The three engines, on real servers, as several instances that share what they count.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{Tables, UserTables};
use turnpike_shared::ids::unprefixed;
use turnpike_shared::limits::policy::Mode;
use turnpike_shared::limits::{
    Ask, Check, MemoryEngine, Reading, Source, Subject, Verdict, Window, WindowId,
};
use turnpike_shared::stores::{
    AccountStore, DynamoDbEngine, EngineError, LinkState, ValkeyAddress, ValkeyEngine, ValkeyError,
    ValkeyLink, client_of_engine,
};

use super::history::CALLERS;
use crate::support::{OwnEngine, dynamodb_at, until};

/// Generous: what is tested here is what is decided, and the machine has other work.
const BUDGET: Duration = Duration::from_secs(10);
pub(crate) const ADMISSION_TABLE: &str = "AdmissionTable";

/// Instances of one engine that share what they count; each caller has its own.
pub(crate) enum Instances {
    Memory(MemoryEngine),
    DynamoDb(Vec<DynamoDbEngine>),
    Valkey(Vec<ValkeyEngine>),
}

/// The engine asks the subject to slow down.
#[derive(Debug)]
pub(crate) struct Throttled;

impl Instances {
    pub(crate) async fn decide(&self, caller: usize, ask: &Ask<'_>) -> Result<Verdict, Throttled> {
        match self {
            Self::Memory(engine) => Ok(engine.decide(ask)),
            Self::DynamoDb(engines) => {
                or_throttled(engines[caller % engines.len()].decide(ask).await)
            }
            Self::Valkey(engines) => {
                let verdict = engines[caller % engines.len()].decide(ask).await;
                or_throttled(verdict.map_err(of_valkey))
            }
        }
    }

    pub(crate) async fn refund(
        &self,
        caller: usize,
        subject: &Subject,
        counted: &[(Check, Reading)],
    ) -> Result<(), Throttled> {
        match self {
            Self::Memory(engine) => {
                engine.refund(subject, counted);
                Ok(())
            }
            Self::DynamoDb(engines) => {
                let engine = &engines[caller % engines.len()];
                or_throttled(engine.refund(subject, counted).await)
            }
            Self::Valkey(engines) => {
                let engine = &engines[caller % engines.len()];
                or_throttled(engine.refund(subject, counted).await.map_err(of_valkey))
            }
        }
    }
}

fn of_valkey(error: ValkeyError) -> EngineError {
    match error {
        ValkeyError::Store(error) => error,
        away => panic!("Valkey answers: {away:?}"),
    }
}

fn or_throttled<T>(answer: Result<T, EngineError>) -> Result<T, Throttled> {
    answer.map_err(|error| match error {
        EngineError::Throttled => Throttled,
        EngineError::Away(away) => panic!("DynamoDB answers: {away:?}"),
    })
}

/// A subject that nobody has counted yet.
pub(crate) fn fresh_subject() -> Subject {
    Subject::Other(format!("TEST#{}", unprefixed(Clock::system().now())))
}

/// An engine with the tables that standings and windows are in.
pub(crate) async fn start_tables() -> OwnEngine {
    let engine = OwnEngine::start().await;
    for table in [
        "AuditTable",
        "CredentialsTable",
        "IdentityTable",
        ADMISSION_TABLE,
    ] {
        engine.create_table(table).await;
    }
    engine
}

/// The SDK's client, past the stores.
pub(crate) fn client_at(endpoint: &str) -> Client {
    client_of_engine(&dynamodb_at(endpoint))
}

pub(crate) fn accounts_at(endpoint: &str) -> AccountStore {
    let tables = Tables {
        credentials: "CredentialsTable".to_owned(),
        users: UserTables {
            identity: "IdentityTable".to_owned(),
            admission: ADMISSION_TABLE.to_owned(),
        },
    };
    AccountStore::new(&dynamodb_at(endpoint), tables)
}

pub(crate) fn dynamodb_engine_at(endpoint: &str) -> DynamoDbEngine {
    DynamoDbEngine::new(&dynamodb_at(endpoint), ADMISSION_TABLE.to_owned(), BUDGET)
}

/// An instance on Valkey for each caller of a history.
pub(crate) async fn valkey_instances(address: &ValkeyAddress, endpoint: &str) -> Instances {
    let mut instances = vec![];
    for _ in 0..CALLERS {
        instances.push(timeless_valkey_engine(address.clone(), endpoint).await);
    }
    Instances::Valkey(instances)
}

/// An engine on Valkey for which time is an argument.
pub(crate) async fn timeless_valkey_engine(address: ValkeyAddress, endpoint: &str) -> ValkeyEngine {
    let clock = Clock::shifted(Arc::default());
    valkey_engine(address, endpoint, clock).await
}

/// An engine on Valkey whose link is there.
pub(crate) async fn valkey_engine(
    address: ValkeyAddress,
    endpoint: &str,
    clock: Clock,
) -> ValkeyEngine {
    let link = ValkeyLink::new(address, clock.clone(), BUDGET);
    link.connect().await;
    assert_eq!(link.state(), LinkState::Up);
    ValkeyEngine::new(link, dynamodb_engine_at(endpoint), clock)
}

/// Asks until the link to a server that was away is there again.
pub(crate) async fn decide_when_linked(engine: &ValkeyEngine, ask: &Ask<'_>) -> Verdict {
    until(async || match engine.decide(ask).await {
        Err(ValkeyError::Store(error)) => panic!("DynamoDB answers: {error:?}"),
        decided => decided.map_err(|away| format!("the link stays down: {away:?}")),
    })
    .await
}

/// A check that costs one.
pub(crate) fn check(id: WindowId, window: Window, limit: u64) -> Check {
    Check {
        name: "test".into(),
        id,
        limit,
        window,
        cost: 1,
        source: Source::Tier,
        mode: Mode::Enforce,
    }
}

pub(crate) fn sliding(name: &str, seconds: u32, limit: u64) -> Check {
    let id = WindowId::named(name, seconds);
    check(id, Window::Sliding { seconds }, limit)
}

/// A question without a credential.
pub(crate) fn ask<'a>(subject: &'a Subject, checks: &'a [Check], now: Timestamp) -> Ask<'a> {
    Ask {
        subject,
        proof: None,
        checks,
        now,
    }
}
