//! Every change leaves its entry, and what changes nothing leaves none.

use std::time::Duration;

use serde_json::{Value, json};

use super::{log_of, stack};
use crate::support::{Account, Answer, Key, PASSWORD, TestStack};

const NEW: &str = "grey-otter-lantern-42";

/// What is new in a log since it was looked at last.
struct News {
    seen: usize,
}

impl News {
    async fn since_now(stack: &TestStack) -> Self {
        let seen = log_of(stack).await.len();
        Self { seen }
    }

    /// The one entry that is new, without its id and time.
    async fn one(&mut self, stack: &TestStack) -> Value {
        let mut news = self.all(stack).await;
        assert_eq!(news.len(), 1, "{news:#?}");
        news.remove(0)
    }

    async fn all(&mut self, stack: &TestStack) -> Vec<Value> {
        let mut log = log_of(stack).await;
        let mut news = log.split_off(self.seen);
        self.seen += news.len();
        for entry in &mut news {
            let entry = entry.as_object_mut().unwrap();
            assert!(
                entry
                    .remove("id")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .starts_with("aud_")
            );
            assert!(entry.remove("at").is_some());
        }
        news
    }
}

async fn post(stack: &TestStack, path: &str, token: Option<&str>, body: Value) -> Answer {
    let call = stack.post(path).json(&body);
    match token {
        Some(token) => call.bearer(token).send().await,
        None => call.send().await,
    }
}

async fn end_session(stack: &TestStack, by: &Account, session: &str) -> u16 {
    let call = stack.delete(&format!("/api/v1/auth/sessions/{session}"));
    call.bearer(&by.access_token).send().await.status
}

#[tokio::test]
async fn a_registration_is_one_entry_and_a_refused_one_none() {
    let stack = stack().await;
    let mut news = News::since_now(&stack).await;

    let ada = stack.register("ada@example.com").await;

    let expected = json!({
        "actor": "anonymous",
        "action": "user-registered",
        "target": ada.id,
        "details": {"session": ada.session_id},
    });
    assert_eq!(news.one(&stack).await, expected);
    let again = json!({"email": "ada@example.com", "password": PASSWORD});
    let weak = json!({"email": "eve@example.com", "password": "password"});
    assert_eq!(
        post(&stack, "/api/v1/auth/register", None, again)
            .await
            .status,
        409
    );
    assert_eq!(
        post(&stack, "/api/v1/auth/register", None, weak)
            .await
            .status,
        422
    );
    assert_eq!(news.all(&stack).await, [] as [Value; 0]);
}

#[tokio::test]
async fn the_local_stacks_first_admin_was_made_by_the_system() {
    let stack = stack().await;

    let log = log_of(&stack).await;

    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["actor"], "system");
    assert_eq!(log[0]["action"], "user-registered");
}

#[tokio::test]
async fn a_sign_in_is_one_entry_that_names_the_sessions_it_displaced_and_a_failed_one_is_none() {
    let stack = stack().await;
    let first = stack.register("ada@example.com").await;
    for _ in 0..49 {
        stack.pass(Duration::from_millis(5));
        stack.login("ada@example.com").await;
    }
    let mut news = News::since_now(&stack).await;

    let last = stack.login("ada@example.com").await;

    let expected = json!({
        "actor": last.id,
        "action": "session-began",
        "target": last.session_id,
        "details": {"sessions_ended": [first.session_id]},
    });
    assert_eq!(news.one(&stack).await, expected);
    let wrong = json!({"email": "ada@example.com", "password": NEW});
    assert_eq!(
        post(&stack, "/api/v1/auth/login", None, wrong).await.status,
        401
    );
    assert_eq!(news.all(&stack).await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_a_sign_in_clears_away_was_not_ended_by_it() {
    let stack = stack().await;
    stack.register("ada@example.com").await;
    stack.pass(Duration::from_hours(31 * 24));
    let mut news = News::since_now(&stack).await;

    let ada = stack.login("ada@example.com").await;

    let expected = json!({"actor": ada.id, "action": "session-began", "target": ada.session_id});
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn the_end_of_a_session_is_one_entry_that_says_how_and_a_second_end_none() {
    let stack = stack().await;
    let here = stack.register("ada@example.com").await;
    let there = stack.login("ada@example.com").await;
    let mut news = News::since_now(&stack).await;

    let statuses = [
        end_session(&stack, &here, &there.session_id).await,
        end_session(&stack, &here, &there.session_id).await,
    ];
    let ended = news.one(&stack).await;
    let out = post(
        &stack,
        "/api/v1/auth/logout",
        Some(&here.access_token),
        json!({}),
    )
    .await;

    assert_eq!((statuses, out.status), ([204, 404], 204));
    let expected = json!({
        "actor": here.id,
        "action": "session-ended",
        "target": there.session_id,
        "details": {"how": "ended-from-another", "by": here.session_id},
    });
    assert_eq!(ended, expected);
    let expected = json!({
        "actor": here.id,
        "action": "session-ended",
        "target": here.session_id,
        "details": {"how": "signed-out"},
    });
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_ends_of_one_session_one_leaves_an_entry() {
    let stack = stack().await;
    let here = stack.register("ada@example.com").await;
    let there = stack.login("ada@example.com").await;
    let mut news = News::since_now(&stack).await;

    let ends = (0..20).map(|_| end_session(&stack, &here, &there.session_id));
    let statuses = futures_util::future::join_all(ends).await;

    assert!(statuses.contains(&204));
    news.one(&stack).await;
}

#[tokio::test]
async fn the_end_of_all_sessions_is_one_entry() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    stack.login("ada@example.com").await;
    let mut news = News::since_now(&stack).await;

    let out = post(
        &stack,
        "/api/v1/auth/logout-all",
        Some(&ada.access_token),
        json!({}),
    )
    .await;

    assert_eq!(out.status, 204);
    let expected = json!({
        "actor": ada.id,
        "action": "session-ended",
        "target": ada.id,
        "details": {"how": "signed-out-everywhere", "sessions_ended": "all"},
    });
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn a_refresh_is_none_and_a_token_used_twice_is_one_that_blames_nobody() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let mut news = News::since_now(&stack).await;
    let token = json!({"refresh_token": ada.refresh_token});

    let first = post(&stack, "/api/v1/auth/refresh", None, token.clone()).await;
    let after_refresh = news.all(&stack).await;
    stack.pass(Duration::from_secs(11));
    let again = post(&stack, "/api/v1/auth/refresh", None, token.clone()).await;
    let once_more = post(&stack, "/api/v1/auth/refresh", None, token).await;

    assert_eq!((first.status, after_refresh), (200, vec![]));
    again.assert_problem(401, "refresh-token-reused");
    assert_eq!(once_more.status, 401);
    let expected = json!({
        "actor": "anonymous",
        "action": "refresh-token-reused",
        "target": ada.session_id,
        "details": {"user": ada.id},
    });
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn a_change_of_password_is_one_entry_and_a_refused_one_none() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let mut news = News::since_now(&stack).await;
    let change = async |current: &str| {
        let body = json!({"current_password": current, "new_password": NEW});
        let call = stack.put("/api/v1/auth/password/change").json(&body);
        call.bearer(&ada.access_token).send().await
    };

    let refused = change("not-the-password").await;
    let after_refusal = news.all(&stack).await;
    let changed = change(PASSWORD).await;

    assert_eq!((refused.status, after_refusal), (403, vec![]));
    assert_eq!(changed.status, 204, "{}", changed.text);
    let expected = json!({
        "actor": ada.id,
        "action": "password-changed",
        "target": ada.id,
        "details": {"by": ada.session_id, "sessions_ended": "others"},
    });
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn a_verification_is_one_entry_and_a_second_changes_nothing() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let first = stack.mailed_token("ada@example.com").await;
    let (path, token) = ("/api/v1/auth/verify-email", Some(ada.access_token.as_str()));
    post(&stack, &format!("{path}/request"), token, json!({})).await;
    let second = stack.mailed_token("ada@example.com").await;
    let mut news = News::since_now(&stack).await;

    let statuses = [
        post(&stack, path, token, json!({"token": first}))
            .await
            .status,
        post(&stack, path, token, json!({"token": first}))
            .await
            .status,
        post(&stack, path, token, json!({"token": second}))
            .await
            .status,
    ];

    assert_ne!(first, second);
    assert_eq!(statuses, [204, 400, 204]);
    let expected = json!({"actor": ada.id, "action": "email-verified", "target": ada.id});
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn a_reset_is_one_entry_that_says_what_went_with_it() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let reset = async || {
        let mail = json!({"email": "ada@example.com"});
        post(&stack, "/api/v1/auth/password/reset", None, mail).await;
        let token = stack.mailed_token("ada@example.com").await;
        let body = json!({"token": token, "new_password": NEW});
        let answer = post(&stack, "/api/v1/auth/password/reset/confirm", None, body).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    };
    let mut news = News::since_now(&stack).await;

    reset().await;
    let unverified = news.one(&stack).await;
    reset().await;
    let verified = news.one(&stack).await;

    let expected = |details: Value| json!({"actor": "anonymous", "action": "password-reset", "target": ada.id, "details": details});
    let all_gone = json!({"sessions_ended": "all", "email_verified": true, "keys_revoked": "all"});
    assert_eq!(unverified, expected(all_gone));
    assert_eq!(verified, expected(json!({"sessions_ended": "all"})));
}

#[tokio::test]
async fn another_name_is_one_entry_without_the_name_and_the_same_none() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let mut news = News::since_now(&stack).await;
    let rename = async || {
        let body = json!({"full_name": "Ada King"});
        let call = stack.patch("/api/v1/users/me").bearer(&ada.access_token);
        assert_eq!(call.json(&body).send().await.status, 200);
    };

    rename().await;
    rename().await;

    let expected = json!({
        "actor": ada.id,
        "action": "user-changed",
        "target": ada.id,
        "details": {"changed": ["full_name"]},
    });
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn the_life_of_a_key_is_told_from_its_making_to_its_end() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let mut news = News::since_now(&stack).await;
    let entry = |action: &str, target: &Key, mut details: Value| {
        details["by"] = ada.session_id.clone().into();
        json!({"actor": ada.id, "action": action, "target": target.id, "details": details})
    };

    let request = json!({
        "scopes": ["profile:read"],
        "allowed_cidrs": ["127.0.0.0/8"],
        "limits": {"hour": 9},
        "expires_at": "2090-01-01T00:00:00Z",
    });
    let key = stack.make_key(&ada, request).await;
    let limits = json!({"hour": 9, "day": null, "month": null});
    let made =
        json!({"scopes": ["profile:read"], "limits": limits, "expires_at": "2090-01-01T00:00:00Z"});
    assert_eq!(news.one(&stack).await, entry("key-made", &key, made));

    let change = async |body: Value| {
        let call = stack.patch(&key.path()).bearer(&ada.access_token);
        assert_eq!(call.json(&body).send().await.status, 200);
    };
    change(json!({"name": "Mine", "scopes": [], "limits": null})).await;
    let changed = json!({
        "changed": ["name", "scopes", "limits"],
        "scopes_before": ["profile:read"],
        "scopes": [],
        "limits_before": limits,
        "limits": null,
    });
    assert_eq!(news.one(&stack).await, entry("key-changed", &key, changed));
    change(json!({"name": "Mine"})).await;
    assert_eq!(news.all(&stack).await, [] as [Value; 0]);

    let new = Key::from_answer(&stack.rotate_key(&ada, &key, 60).await);
    let mut rotated = news.one(&stack).await;
    let details = rotated["details"].as_object_mut().unwrap();
    assert!(details.remove("live_until").unwrap().is_string());
    assert_eq!(rotated, entry("key-rotated", &key, json!({"to": new.id})));

    stack.revoke_key(&ada, &new).await;
    assert_eq!(
        news.one(&stack).await,
        entry("key-revoked", &new, json!({}))
    );
    stack.revoke_key(&ada, &new).await;
    assert_eq!(news.all(&stack).await, [] as [Value; 0]);
}

#[tokio::test]
async fn keys_that_go_together_are_one_entry_and_a_key_that_manages_is_named() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let request = json!({"scopes": ["keys:write", "keys:read", "profile:read"]});
    let manager = stack.make_key(&ada, request).await;
    let mut news = News::since_now(&stack).await;

    let made = stack
        .create_key_by(&manager, json!({"scopes": ["profile:read"]}))
        .await;
    let made = Key::from_answer(&made);
    let making = news.one(&stack).await;
    stack.revoke_key(&ada, &manager).await;

    assert_eq!(making["target"], made.id.as_str());
    assert_eq!(making["details"]["by"], manager.id.as_str());
    let expected = json!({
        "actor": ada.id,
        "action": "key-revoked",
        "target": manager.id,
        "details": {"with": [made.id], "by": ada.session_id},
    });
    assert_eq!(news.one(&stack).await, expected);
}

#[tokio::test]
async fn more_keys_than_fit_into_one_write_go_with_an_entry_for_each() {
    let stack = stack().await;
    let ada = stack.register("ada@example.com").await;
    let request = json!({"scopes": ["keys:write", "profile:read"]});
    let manager = stack.make_key(&ada, request).await;
    for _ in 0..99 {
        let made = stack
            .create_key_by(&manager, json!({"scopes": ["profile:read"]}))
            .await;
        Key::from_answer(&made);
    }
    let mut news = News::since_now(&stack).await;

    stack.revoke_key(&ada, &manager).await;

    let news = news.all(&stack).await;
    let revoked = |entry: &Value| 1 + entry["details"]["with"].as_array().unwrap().len();
    assert_eq!(news.iter().map(revoked).collect::<Vec<_>>(), [97, 3]);
    assert_eq!(news[1]["details"]["made_by"], manager.id.as_str());
}

#[tokio::test]
async fn no_entry_holds_an_address_a_name_or_a_secret() {
    let stack = stack().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "full_name": "Ada King"});
    let answer = post(&stack, "/api/v1/auth/register", None, body).await;
    let ada = Account::from_answer("ada@example.com", &answer.body);
    let request = json!({"name": "The CI of Ada", "allowed_cidrs": ["127.0.0.0/8"]});
    let key = stack.make_key(&ada, request).await;
    stack.rotate_key(&ada, &key, 0).await;

    let log = format!("{:?}", log_of(&stack).await);

    assert!(log.contains(&ada.id) && log.contains(&key.id));
    for personal in [
        "example.com",
        "127.0.0",
        "King",
        "The CI",
        PASSWORD,
        "tp_test_",
        "tpr_",
    ] {
        assert!(!log.contains(personal), "{personal}");
    }
}
