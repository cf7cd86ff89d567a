//! What changes a user's standing holds on the very next request, on every instance, whichever
//! engine decides and whatever the token still states.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use turnpike_local::{Engine, Options};

use super::{
    CHANGE, DECIDERS, Decider, LOGIN, ME, PolicyFile, REFRESH, SESSIONS, assert_refused, limit_of,
    url_of,
};
use crate::support::{Account, Answer, CountingProxy, OwnEngine, PASSWORD, RedisServer, TestStack};

/// Two instances of one stage: one engine, one Valkey if there is one, the same keys.
pub(crate) struct Instances {
    pub(crate) first: TestStack,
    pub(crate) second: TestStack,
    pub(crate) server: Option<RedisServer>,
    /// In front of the second one's DynamoDB.
    pub(crate) proxy: CountingProxy,
    engine: OwnEngine,
    _policy: Option<PolicyFile>,
}

impl Instances {
    /// With the policy that is compiled in, if no other is given.
    pub(crate) async fn start(decider: Decider, policy: Option<PolicyFile>) -> Self {
        let engine = OwnEngine::start().await;
        let proxy = CountingProxy::start(&engine).await;
        let server = decider.server().await;
        let start = |endpoint: String| {
            TestStack::start_as(|options| Options {
                engine: Engine::At(endpoint),
                valkey: url_of(server.as_ref()),
                policy: policy.as_ref().map(PolicyFile::path),
                env: options
                    .env
                    .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
                    .with("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
                ..options
            })
        };
        Self {
            first: start(engine.endpoint()).await,
            second: start(proxy.endpoint.clone()).await,
            server,
            proxy,
            engine,
            _policy: policy,
        }
    }

    /// Moves the time of both on.
    pub(crate) fn pass(&self, time: Duration) {
        self.first.pass(time);
        self.second.pass(time);
    }

    pub(crate) fn both(&self) -> [(&'static str, &TestStack); 2] {
        [("second", &self.second), ("first", &self.first)]
    }

    /// Changes a user's record, and raises the epoch, as an admin's change does in the tables.
    async fn change_in_tables(&self, account: &Account, name: &str, value: AttributeValue) {
        let endpoint = self.engine.endpoint();
        let changed = self
            .first
            .set_user_attribute_at(&endpoint, &account.id, name, value);
        changed.await;
    }

    /// Makes somebody an admin in the tables: an engine of the test's own has no first one.
    pub(crate) async fn make_admin(&self, account: &Account, tier: &str) {
        let tier = AttributeValue::S(tier.to_owned());
        self.change_in_tables(account, "tier", tier).await;
        let roles = ["user", "admin"].map(|role| AttributeValue::S(role.to_owned()));
        let roles = AttributeValue::L(roles.into());
        self.change_in_tables(account, "roles", roles).await;
        if let Some(server) = &self.server {
            let key = format!("tp:{{USER#{}}}:standing", account.id);
            let mut connection = server.connection().await;
            let mut remove = redis::cmd("DEL");
            remove.arg(key).exec_async(&mut connection).await.unwrap();
        }
    }

    /// Takes Valkey's copy of a user's standing away, as whoever makes a change does.
    async fn forget(&self, account: &Account) {
        if let Some(server) = &self.server {
            let mut connection = server.connection().await;
            let key = format!("tp:{{USER#{}}}:standing", account.id);
            let removed: u64 = redis::cmd("DEL")
                .arg(key)
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(removed, 1, "there was a copy");
        }
    }
}

/// Changes a user's tier as an admin would.
pub(super) async fn change_tier(instances: &Instances, account: &Account, tier: &str) {
    let value = AttributeValue::S(tier.to_owned());
    instances.change_in_tables(account, "tier", value).await;
    instances.forget(account).await;
}

async fn me(stack: &TestStack, access_token: &str) -> Answer {
    stack.get(ME).bearer(access_token).send().await
}

fn claims(access_token: &str) -> Value {
    let payload = access_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn another_tier_holds_on_the_next_request_although_the_token_states_the_old_one() {
    for decider in DECIDERS {
        let instances = Instances::start(decider, None).await;
        let ada = instances.first.register("ada@example.com").await;
        for (_, stack) in instances.both() {
            let before = me(stack, &ada.access_token).await;
            assert_eq!(limit_of(&before, "hour").limit, 100);
        }

        change_tier(&instances, &ada, "pro").await;

        assert_eq!(claims(&ada.access_token)["tier"], "free");
        for (used, (name, stack)) in (3..).zip(instances.both()) {
            let answer = me(stack, &ada.access_token).await;
            let case = format!("{decider:?}, the {name} instance: {}", answer.text);
            assert_eq!(answer.status, 200, "{case}");
            assert_eq!(
                answer.header("ratelimit-policy"),
                r#""hour";q=1000;w=3600, "day";q=10000;w=86400, "month";q=200000"#,
                "{case}"
            );
            assert_eq!(limit_of(&answer, "hour").remaining, 1_000 - used, "{case}");
            assert_eq!(answer.body["user"]["tier"], "pro", "{case}");
        }
    }
}

#[tokio::test]
async fn a_smaller_tier_refuses_the_next_request_if_that_much_was_used_already() {
    for decider in DECIDERS {
        let policy = "[tiers.anonymous]\n[tiers.free]\nhour = 3\n[tiers.pro]\nhour = 50\n";
        let instances = Instances::start(decider, Some(PolicyFile::new(policy))).await;
        let ada = instances.first.register("ada@example.com").await;
        me(&instances.first, &ada.access_token).await;
        change_tier(&instances, &ada, "pro").await;
        for (_, stack) in [instances.both(), instances.both()].concat() {
            assert_eq!(me(stack, &ada.access_token).await.status, 200);
        }

        change_tier(&instances, &ada, "free").await;

        for (name, stack) in instances.both() {
            let refused = me(stack, &ada.access_token).await;
            assert_refused(&refused, &["hour"]);
            let shown = limit_of(&refused, "hour");
            assert_eq!((shown.limit, shown.remaining), (3, 0), "{decider:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_refresh_after_a_change_states_the_new_tier() {
    for decider in DECIDERS {
        let instances = Instances::start(decider, None).await;
        let ada = instances.first.register("ada@example.com").await;
        for (_, stack) in instances.both() {
            me(stack, &ada.access_token).await;
        }

        change_tier(&instances, &ada, "pro").await;
        let body = json!({"refresh_token": ada.refresh_token});
        let refreshed = instances.first.post(REFRESH).json(&body).send().await;

        let token = refreshed.body["tokens"]["access_token"].as_str().unwrap();
        let (old, new) = (claims(&ada.access_token), claims(token));
        assert_eq!(
            (&old["tier"], &new["tier"]),
            (&json!("free"), &json!("pro"))
        );
        assert!(new["ep"].as_u64() > old["ep"].as_u64(), "{old} {new}");
        for (name, stack) in instances.both() {
            let with_new = me(stack, token).await;
            let with_old = me(stack, &ada.access_token).await;
            for answer in [with_new, with_old] {
                assert_eq!(limit_of(&answer, "hour").limit, 1_000, "{decider:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn many_changes_that_one_user_makes_at_once_all_take_effect() {
    const CHANGES: usize = 24;
    for decider in DECIDERS {
        let instances = Instances::start(decider, None).await;
        let ada = instances.first.register("ada@example.com").await;
        for (_, stack) in instances.both() {
            assert_eq!(stack.me_status(&ada.access_token).await, 200);
        }
        change_tier(&instances, &ada, "enterprise").await;

        let changes = (0..CHANGES).map(|number| {
            let (_, stack) = instances.both()[number % 2];
            let body = json!({"full_name": format!("Ada {number}")});
            let call = stack.patch("/api/v1/users/me").bearer(&ada.access_token);
            async move { call.json(&body).send().await }
        });
        let answers = join_all(changes).await;

        for answer in &answers {
            assert_eq!(answer.status, 200, "{decider:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn whatever_ends_a_session_refuses_its_next_request_everywhere() {
    const ENDS: [&str; 6] = [
        "logout",
        "logout of all",
        "the session's deletion",
        "deactivation",
        "a change of the password",
        "a refresh token used twice",
    ];
    let policy = format!(
        "[tiers.anonymous]\n[tiers.free]\nhour = 1000\n{}",
        super::OPEN_ROUTES
    );
    for decider in DECIDERS {
        let instances = Instances::start(decider, Some(PolicyFile::new(&policy))).await;
        let first = &instances.first;
        for (number, end) in ENDS.into_iter().enumerate() {
            let case = format!("{decider:?}: {end}");
            let email = format!("ada{number}@example.com");
            let ending = first.register(&email).await;
            let other = first.login(&email).await;
            for (_, stack) in instances.both() {
                for account in [&ending, &other] {
                    assert_eq!(stack.me_status(&account.access_token).await, 200, "{case}");
                }
            }

            let is_other_good = end_session(&instances, end, &ending, &other).await;

            for (name, stack) in instances.both() {
                let ended = me(stack, &ending.access_token).await;
                let case = format!("{case}, the {name} instance");
                assert_eq!(
                    (ended.status, ended.code()),
                    (401, "unauthenticated"),
                    "{case}"
                );
                let expected = if is_other_good { 200 } else { 401 };
                let status = stack.me_status(&other.access_token).await;
                assert_eq!(status, expected, "{case}: the other session");
            }
        }
    }
}

/// Ends a session in one of the ways; whether the user's other session remains.
async fn end_session(instances: &Instances, end: &str, ending: &Account, other: &Account) -> bool {
    let first = &instances.first;
    let refresh = async || {
        let body = json!({"refresh_token": ending.refresh_token});
        first.post(REFRESH).json(&body).send().await.status
    };
    match end {
        "logout" => {
            let call = first.post("/api/v1/auth/logout");
            let answer = call.bearer(&ending.access_token).send().await;
            assert_eq!(answer.status, 204);
            true
        }
        "logout of all" => {
            let call = first.post("/api/v1/auth/logout-all");
            let answer = call.bearer(&other.access_token).send().await;
            assert_eq!(answer.status, 204);
            false
        }
        "the session's deletion" => {
            let call = first.delete(&format!("{SESSIONS}/{}", ending.session_id));
            let answer = call.bearer(&other.access_token).send().await;
            assert_eq!(answer.status, 204);
            true
        }
        "deactivation" => {
            let inactive = AttributeValue::Bool(false);
            let changed = instances.change_in_tables(ending, "is_active", inactive);
            changed.await;
            instances.forget(ending).await;
            false
        }
        "a change of the password" => {
            let body =
                json!({"current_password": PASSWORD, "new_password": "quartz-lantern-orchid-3"});
            let call = first.put(CHANGE).bearer(&other.access_token);
            assert_eq!(call.json(&body).send().await.status, 204);
            true
        }
        "a refresh token used twice" => {
            assert_eq!(refresh().await, 200);
            instances.pass(Duration::from_secs(11));
            assert_eq!(refresh().await, 401);
            true
        }
        _ => unreachable!("{end}"),
    }
}

#[tokio::test]
async fn a_sign_in_on_one_instance_is_good_on_the_other_at_once() {
    for decider in DECIDERS {
        let instances = Instances::start(decider, None).await;
        let ada = instances.first.register("ada@example.com").await;
        for (_, stack) in instances.both() {
            assert_eq!(stack.me_status(&ada.access_token).await, 200);
        }

        let body = json!({"email": ada.email, "password": PASSWORD});
        let signed_in = instances.first.post(LOGIN).json(&body).send().await;

        let token = signed_in.body["tokens"]["access_token"].as_str().unwrap();
        assert_eq!(
            me(&instances.second, token).await.status,
            200,
            "{decider:?}"
        );
    }
}

#[tokio::test]
async fn a_change_that_valkey_was_not_told_of_holds_within_a_minute() {
    let instances = Instances::start(Decider::Valkey, None).await;
    let ada = instances.first.register("ada@example.com").await;
    for (_, stack) in instances.both() {
        me(stack, &ada.access_token).await;
    }

    let tier = AttributeValue::S("pro".into());
    instances.change_in_tables(&ada, "tier", tier).await;
    instances.pass(Duration::from_mins(1));

    for (name, stack) in instances.both() {
        let answer = me(stack, &ada.access_token).await;
        assert_eq!(limit_of(&answer, "hour").limit, 1_000, "{name}");
    }
}
