//! Tables of a stage in an engine of the test's own, with users, counted requests and a clock that
//! stands where the test wants it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use turnpike_local::create_tables;
use turnpike_local::template::Template;
use turnpike_quota_reset::{App, Event, Report, ResetError};
use turnpike_shared::admission::AdmissionParts;
use turnpike_shared::auth::{ChangedBy, PasswordHash, QuotaOverride, Role, Tier, User};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::Environment;
use turnpike_shared::ids::UserId;
use turnpike_shared::limits::{Check, Subject, Verdict, Window, WindowId};
use turnpike_shared::runtime::{EventFunction as _, Invocation};
use turnpike_shared::stores::{
    AccountStore, Administered, NewAccount, Registration, ValkeyAddress, ValkeyEngine, Verification,
};

use crate::limits::engines::{
    accounts_at, ask, check, client_at, dynamodb_engine_at, timeless_valkey_engine,
};
use crate::support::{OwnEngine, PATIENT, dynamodb_at};

/// A free user's month, as the built-in policy has it.
pub(super) const MONTH: u64 = 20_000;

pub(super) struct Ground {
    pub(super) engine: OwnEngine,
    shift: Arc<AtomicI64>,
}

impl Ground {
    /// Empty tables, at a time such as `2026-11-20T00:00:00Z`.
    pub(super) async fn at(now: &str) -> Self {
        let engine = OwnEngine::start().await;
        let template = Template::embedded().unwrap();
        create_tables(&dynamodb_at(&engine.endpoint()), &template)
            .await
            .unwrap();
        let ground = Self {
            engine,
            shift: Arc::default(),
        };
        ground.be_at(now);
        ground
    }

    /// Moves the clock.
    pub(super) fn be_at(&self, now: &str) {
        let there: Timestamp = now.parse().unwrap();
        let shift = there.millis() - Clock::system().now().millis();
        self.shift.store(shift, Ordering::Relaxed);
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::shifted(Arc::clone(&self.shift))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub(super) fn accounts(&self) -> AccountStore {
        accounts_at(&self.engine.endpoint())
    }

    /// The function on these tables.
    pub(super) async fn app(&self) -> App {
        self.app_at(&self.engine.endpoint(), None).await
    }

    pub(super) async fn app_with(&self, valkey: &ValkeyAddress) -> App {
        self.app_at(&self.engine.endpoint(), Some(valkey)).await
    }

    pub(super) async fn app_at(&self, endpoint: &str, valkey: Option<&ValkeyAddress>) -> App {
        let mut env = Environment::default()
            .with("TURNPIKE_ENVIRONMENT", "testing")
            .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
            .with("TURNPIKE_IDENTITY_TABLE", "IdentityTable")
            .with("TURNPIKE_ADMISSION_TABLE", "AdmissionTable")
            .with("TURNPIKE_USAGE_TABLE", "UsageTable");
        if let Some(valkey) = valkey {
            env = env.with("TURNPIKE_VALKEY_URL", valkey.url.as_str());
        }
        let aws = env
            .clone()
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test");
        let parts = AdmissionParts {
            // What fails here is to fail at once.
            dynamodb: dynamodb_at(endpoint).within(PATIENT.dynamodb),
            clock: self.clock(),
            budgets: PATIENT,
            ..AdmissionParts::from_environment(&aws).unwrap()
        };
        App::new(&env, parts).await.unwrap()
    }

    /// Runs the function over everybody.
    pub(super) async fn reset(&self, app: &App) -> Result<Report, ResetError> {
        self.reset_shards(app, Event::default()).await
    }

    pub(super) async fn reset_shards(&self, app: &App, event: Event) -> Result<Report, ResetError> {
        let invocation = Invocation {
            request_id: "test".to_owned(),
            deadline: self.now().plus(Duration::from_mins(15)),
        };
        app.handle(event, invocation).await
    }

    /// A free user with a number for an id, so that two grounds have the same ones; made when the
    /// clock says.
    pub(super) async fn user(&self, number: u16) -> Member<'_> {
        self.user_as(number, |user| user).await
    }

    pub(super) async fn user_as(
        &self,
        number: u16,
        adjust: impl FnOnce(User) -> User,
    ) -> Member<'_> {
        let now = self.now();
        let id = format!("usr_019aa00000007000800000000000{number:04x}");
        let user = adjust(User {
            id: id.parse().unwrap(),
            email: format!("user-{number}@example.com").parse().unwrap(),
            full_name: None,
            tier: Tier::free(),
            roles: vec![Role::User],
            is_active: true,
            is_verified: false,
            created_at: now,
            updated_at: now,
            quota_override: None,
            keys_revoked: None,
            epoch: 1,
        });
        let id = user.id;
        let account = NewAccount {
            user,
            password: PasswordHash::stored("none".to_owned()),
            session: None,
            verification: Verification::AlreadyDone,
        };
        let registered = self.accounts().register(&account, now).await;
        assert_eq!(registered.unwrap(), Registration::Done);
        Member { ground: self, id }
    }

    /// Everything in the tables that a run may change, without what differs from run to run: the
    /// ids of events and entries, and the times at which something was done.
    pub(super) async fn dump(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut dump = BTreeMap::new();
        for table in ["IdentityTable", "AdmissionTable", "UsageTable"] {
            for (key, attributes) in self.items(table).await {
                let key = format!("{table} {key}");
                let is_first = dump.insert(key.clone(), attributes).is_none();
                assert!(is_first, "{key} is there twice");
            }
        }
        dump
    }

    async fn items(&self, table: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let client = client_at(&self.engine.endpoint());
        let found = client.scan().table_name(table).send().await.unwrap();
        assert!(found.last_evaluated_key().is_none(), "one page will do");
        let items = found.items().iter().map(|item| {
            let text = |name: &str| item[name].as_s().unwrap().clone();
            let mut key = format!("{} {}", text("pk"), text("sk"));
            let mut attributes: BTreeMap<String, String> = item
                .iter()
                .map(|(name, value)| (name.clone(), format!("{value:?}")))
                .collect();
            for name in ["pk", "sk", "created_at", "updated_at"] {
                attributes.remove(name);
            }
            if key.starts_with("OUTBOX#") {
                let of = |name: &str| item[name].as_s().unwrap().clone();
                key = format!(
                    "NOTICE {} {} {:?}",
                    of("user_id"),
                    of("period"),
                    item["percent"]
                );
                for name in ["id", "ttl"] {
                    attributes.remove(name);
                }
            }
            if key.starts_with("AUDIT#") {
                let entry = item["entry"].as_m().unwrap();
                key = format!("AUDIT {:?} {:?}", entry["action"], entry["target"]);
                attributes.remove("entry");
            }
            (key, attributes)
        });
        items.collect()
    }

    /// An item of the usage table.
    pub(super) async fn period(
        &self,
        user: UserId,
        period: &str,
    ) -> Option<HashMap<String, AttributeValue>> {
        let client = client_at(&self.engine.endpoint());
        let read = client
            .get_item()
            .table_name("UsageTable")
            .key("pk", AttributeValue::S(format!("USER#{user}")))
            .key("sk", AttributeValue::S(format!("PERIOD#{period}")));
        read.send().await.unwrap().item
    }

    /// What a closed period says was charged.
    pub(super) async fn charged(&self, user: UserId, period: &str) -> Option<u64> {
        let item = self.period(user, period).await?;
        item.get("charged")?.as_n().ok()?.parse().ok()
    }
}

/// A user of a ground.
pub(super) struct Member<'a> {
    pub(super) ground: &'a Ground,
    pub(super) id: UserId,
}

impl Member<'_> {
    pub(super) fn subject(&self) -> Subject {
        Subject::User(self.id)
    }

    /// Has a request of this cost let in by DynamoDB, now.
    pub(super) async fn uses(&self, cost: u64) {
        let engine = dynamodb_engine_at(&self.ground.engine.endpoint());
        let (subject, checks) = (self.subject(), [month(cost)]);
        let asked = ask(&subject, &checks, self.ground.now());
        let verdict = engine.decide(&asked).await.unwrap();
        assert!(matches!(verdict, Verdict::Admitted(_)));
    }

    /// Has requests let in by Valkey, now.
    pub(super) async fn uses_through(&self, valkey: &ValkeyEngine, times: u64) {
        let (subject, checks) = (self.subject(), [month(1)]);
        for _ in 0..times {
            let asked = ask(&subject, &checks, self.ground.now());
            let verdict = valkey.decide(&asked).await.unwrap();
            assert!(matches!(verdict, Verdict::Admitted(_)));
        }
    }

    /// Has an admin clear all windows, now.
    pub(super) async fn is_reset(&self) {
        let (accounts, by) = (
            self.ground.accounts(),
            ChangedBy {
                user: self.id,
                key: None,
            },
        );
        let reset = accounts.users().reset_quota(self.id, by, self.ground.now());
        assert!(matches!(reset.await.unwrap(), Administered::Done(_)));
    }

    /// What the month's window of DynamoDB has now.
    pub(super) async fn counted(&self) -> u64 {
        let engine = dynamodb_engine_at(&self.ground.engine.endpoint());
        let now = self.ground.now();
        let (subject, checks) = (self.subject(), [month(1)]);
        let readings = engine.look(&subject, &checks, now).await;
        readings.unwrap()[0].used
    }
}

pub(super) fn month(cost: u64) -> Check {
    Check {
        cost,
        ..check(WindowId::MONTH, Window::Month, MONTH)
    }
}

/// An engine on Valkey as the functions have it, with the ground's clock given to it call by call.
pub(super) async fn valkey_of(ground: &Ground, address: &ValkeyAddress) -> ValkeyEngine {
    timeless_valkey_engine(address.clone(), &ground.engine.endpoint()).await
}

/// Limits in the place of the tier's, until then.
pub(super) fn override_until(expires_at: &str) -> QuotaOverride {
    let expires_at: Timestamp = expires_at.parse().unwrap();
    QuotaOverride {
        month: Some(turnpike_shared::auth::Allowance(Some(100))),
        expires_at: Some(expires_at.millis()),
        ..QuotaOverride::default()
    }
}
