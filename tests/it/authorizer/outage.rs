//! What becomes of a request while a store is away: what the class says, and nobody unchecked. And
//! what keeps the function from starting.

use serde_json::{Value, json};
use turnpike_authorizer::App;
use turnpike_local::Engine;
use turnpike_shared::admission::AdmissionParts;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::Environment;
use turnpike_shared::runtime::{EventService, Invocation, InvocationError};

use super::with_token;
use crate::support::{Account, Fault, FaultProxy, OwnEngine, TestStack};

struct Setting {
    _engine: OwnEngine,
    proxy: FaultProxy,
    stack: TestStack,
    authorizer: EventService<App>,
}

fn environment(issuer: &str, class: &str, dynamodb: &str) -> Environment {
    Environment::default()
        .with("TURNPIKE_ENVIRONMENT", "testing")
        .with("TURNPIKE_ISSUER", issuer)
        .with("TURNPIKE_IDENTITY_TABLE", "IdentityTable")
        .with("TURNPIKE_ADMISSION_TABLE", "AdmissionTable")
        .with("TURNPIKE_USAGE_TABLE", "UsageTable")
        .with("TURNPIKE_AUTHORIZER_CLASS", class)
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
}

impl Setting {
    /// The function as it is deployed, on an engine behind a proxy, with a class of its own.
    async fn start(on_outage: &str) -> Self {
        let engine = OwnEngine::start().await;
        let proxy = FaultProxy::start(&engine).await;
        let stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.toml");
        let class = format!(
            "version = 1\n[tiers.anonymous]\n[tiers.free]\nhour = 100\n[tiers.enterprise]\n[classes.orders]\nlimits = [{{ rate = \"100/minute\", per = \"user\" }}]\non_outage = \"{on_outage}\"\n"
        );
        std::fs::write(&policy, class).unwrap();
        let env = environment(&stack.base, "orders", &proxy.endpoint);
        let parts = AdmissionParts {
            policy: Some(policy),
            ..AdmissionParts::from_environment(&env).unwrap()
        };
        let app = App::new(&env, parts).await.unwrap();
        Self {
            _engine: engine,
            proxy,
            stack,
            authorizer: EventService::new("authorizer", app),
        }
    }

    async fn ask(&self, account: &Account) -> Result<Value, InvocationError> {
        let invocation = Invocation {
            request_id: "id".into(),
            deadline: Timestamp::from_millis(i64::MAX),
        };
        let event = with_token(&account.access_token);
        self.authorizer.invoke(event, invocation).await
    }
}

#[tokio::test]
async fn a_class_that_stays_open_lets_in_who_was_confirmed_lately_and_decides_nothing_else() {
    let setting = Setting::start("open").await;
    let ada = setting.stack.register("ada@example.com").await;
    let grace = setting.stack.register("grace@example.com").await;
    assert_eq!(setting.ask(&ada).await.unwrap()["isAuthorized"], true);

    setting.proxy.set(Fault::Failure);
    let confirmed = setting.ask(&ada).await.unwrap();
    let unconfirmed = setting.ask(&grace).await.unwrap_err();
    setting.proxy.set(Fault::None);
    let after = setting.ask(&grace).await.unwrap();

    assert_eq!(confirmed["isAuthorized"], true);
    assert_eq!(confirmed["context"]["user_id"], json!(ada.id));
    assert!(
        confirmed["context"]["remaining"].is_null(),
        "no limit was asked"
    );
    assert_eq!(
        unconfirmed.error_message,
        "Credentials cannot be checked right now."
    );
    assert_eq!(after["isAuthorized"], true);
}

#[tokio::test]
async fn a_class_that_closes_decides_nothing() {
    let setting = Setting::start("closed").await;
    let ada = setting.stack.register("ada@example.com").await;
    assert_eq!(setting.ask(&ada).await.unwrap()["isAuthorized"], true);

    setting.proxy.set(Fault::Failure);
    let refused = setting.ask(&ada).await.unwrap_err();

    assert!(
        refused
            .error_message
            .starts_with("The request could not be completed")
    );
}

#[tokio::test]
async fn a_class_that_the_policy_counts_no_users_in_keeps_the_function_from_starting() {
    let engine = OwnEngine::start().await;
    let stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;

    for class in ["nonsense", "register"] {
        let env = environment(&stack.base, class, &engine.endpoint());
        let parts = AdmissionParts::from_environment(&env).unwrap();
        let refused = App::new(&env, parts).await.err().unwrap();

        let cause = turnpike_shared::errors::chain(&refused);
        assert!(cause.starts_with("TURNPIKE_AUTHORIZER_CLASS"), "{cause}");
    }
}
