//! `auth` starts while a store is away: quickly, and with what it could not tell others told later.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use turnpike_auth::{App, Parts, StartError};
use turnpike_local::{Engine, signing_keys_document};
use turnpike_shared::admission::AdmissionParts;
use turnpike_shared::auth::{Algorithm, PasswordHasher};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{Environment, UserTables};
use turnpike_shared::stores::{DynamoDb, UserStore};

use crate::support::{Fault, FaultProxy, OwnEngine, TestStack, signing_keys};

/// What the start may lose to stores that say nothing, and some for a busy machine.
const LONGEST_START: Duration = Duration::from_millis(3_500);

/// The environment of `auth` on the engine at `dynamodb`.
fn environment(dynamodb: &str) -> Environment {
    Environment::default()
        .with("TURNPIKE_ENVIRONMENT", "testing")
        .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
        .with("TURNPIKE_CREDENTIALS_TABLE", "CredentialsTable")
        .with("TURNPIKE_IDENTITY_TABLE", "IdentityTable")
        .with("TURNPIKE_ADMISSION_TABLE", "AdmissionTable")
        .with("TURNPIKE_USAGE_TABLE", "UsageTable")
        .with("TURNPIKE_SIGNING_KEYS", signing_keys())
        .with("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef")
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
}

/// Starts `auth` as a function starts, but for its clock.
async fn start(env: &Environment, clock: Clock) -> Result<App, StartError> {
    let admission = AdmissionParts {
        clock,
        ..AdmissionParts::from_environment(env).unwrap()
    };
    let parts = Parts {
        admission,
        hasher: PasswordHasher::new(),
    };
    App::new(env.clone(), parts).await
}

/// Serves the function and returns the status of its key set.
async fn jwks_status(app: App) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!(
        "http://{}/.well-known/jwks.json",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move { axum::serve(listener, turnpike_auth::router(app)).await });
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn stores_that_say_nothing_or_are_gone_do_not_keep_auth_from_starting() {
    // They take connections, which nobody serves.
    let silent_dynamodb = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent_valkey = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let [dynamodb, valkey, nobody] =
        [&silent_dynamodb, &silent_valkey, &gone].map(|at| at.local_addr().unwrap());
    drop(gone);

    for (dynamodb, valkey) in [(dynamodb, valkey), (nobody, nobody)] {
        let env = environment(&format!("http://{dynamodb}"))
            .with("TURNPIKE_VALKEY_URL", format!("redis://{valkey}"));

        let began = Instant::now();
        let app = start(&env, Clock::system()).await.unwrap();
        let took = began.elapsed();

        assert!(took < LONGEST_START, "{took:?}");
        assert_eq!(jwks_status(app).await, 200);
    }
}

#[tokio::test]
async fn keys_that_could_not_be_published_at_the_start_are_published_a_minute_later() {
    let engine = OwnEngine::start().await;
    let _tables = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    let proxy = FaultProxy::start(&engine).await;
    let own_keys = signing_keys_document(Algorithm::ES256, None).unwrap();
    let env = environment(&proxy.endpoint)
        .with("TURNPIKE_SIGNING_ALGORITHM", "ES256")
        .with("TURNPIKE_SIGNING_KEYS", own_keys.expose_secret());
    let tables = UserTables::read(&env).unwrap();
    let users = UserStore::new(&DynamoDb::from_environment(&env).unwrap(), tables);
    let shift = Arc::new(AtomicI64::new(0));
    let published = async || users.key_set().await.unwrap().unwrap();
    let before = published().await;

    proxy.set(Fault::Silence);
    let app = start(&env, Clock::shifted(Arc::clone(&shift)))
        .await
        .unwrap();
    proxy.set(Fault::None);
    assert_eq!(jwks_status(app.clone()).await, 200);
    let at_once = published().await;
    shift.store(60_000, Ordering::Relaxed);
    assert_eq!(jwks_status(app).await, 200);
    let later = published().await;

    assert_eq!(at_once, before, "the keys of another process");
    assert_ne!(later, before);
    assert!(later.contains("ES256"), "{later}");
}
