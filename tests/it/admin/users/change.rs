//! `PATCH /api/v1/admin/users/{id}`

use serde_json::{Value, json};

use crate::admin::{audited, patch, path_of};
use crate::support::{Account, Answer, TestStack};

async fn user(stack: &TestStack, by: &Account, user: &Account) -> Value {
    let shown = stack.get(&path_of(user)).bearer(&by.access_token);
    shown.send().await.body["user"].clone()
}

#[track_caller]
fn changed(answer: &Answer) -> &Value {
    assert_eq!(answer.status, 200, "{}", answer.text);
    &answer.body["user"]
}

#[tokio::test]
async fn what_is_given_changes_and_the_rest_stays() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;

    let tier = patch(&stack, &admin, &ada, json!({"tier": "enterprise"})).await;
    let roles = patch(
        &stack,
        &admin,
        &ada,
        json!({"roles": ["support", "support"]}),
    )
    .await;
    let both = patch(&stack, &admin, &ada, json!({"tier": "free", "roles": []})).await;

    assert_eq!(changed(&tier)["tier"], "enterprise");
    assert_eq!(changed(&tier)["roles"], json!(["user"]));
    assert_eq!(changed(&roles)["roles"], json!(["user", "support"]));
    assert_eq!(changed(&roles)["tier"], "enterprise");
    assert_eq!(changed(&both)["roles"], json!(["user"]));
    assert_eq!(user(&stack, &admin, &ada).await, *changed(&both));
}

#[tokio::test]
async fn a_role_is_held_on_the_next_request_and_lost_on_the_next() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let list = async || {
        let call = stack.get("/api/v1/admin/users").bearer(&ada.access_token);
        call.send().await.status
    };
    let before = list().await;

    patch(&stack, &admin, &ada, json!({"roles": ["support"]})).await;
    let held = list().await;
    patch(&stack, &admin, &ada, json!({"roles": ["user"]})).await;
    let taken = list().await;

    assert_eq!((before, held, taken), (403, 200, 403));
}

#[tokio::test]
async fn deactivation_ends_sessions_and_suspends_keys_and_reactivation_revives_the_keys_alone() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let other = stack.login("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let refresh = async |account: &Account| {
        let body = json!({"refresh_token": account.refresh_token});
        let call = stack.post("/api/v1/auth/refresh").json(&body);
        call.send().await.status
    };
    assert_eq!(stack.use_key(&key).await.status, 200);

    let off = patch(&stack, &admin, &ada, json!({"is_active": false})).await;
    let while_off = [
        stack.me_status(&ada.access_token).await,
        stack.me_status(&other.access_token).await,
        stack.use_key(&key).await.status,
        refresh(&ada).await,
    ];
    let on = patch(&stack, &admin, &ada, json!({"is_active": true})).await;

    assert_eq!(changed(&off)["is_active"], false);
    assert_eq!(while_off, [401, 401, 401, 401]);
    assert_eq!(changed(&on)["is_active"], true);
    assert_eq!(stack.use_key(&key).await.status, 200);
    assert_eq!(stack.me_status(&ada.access_token).await, 401);
    assert_eq!(stack.me_status(&other.access_token).await, 401);
    assert_eq!(refresh(&other).await, 401);
    let again = stack.login("ada@example.com").await;
    assert_eq!(stack.me_status(&again.access_token).await, 200);
}

#[tokio::test]
async fn an_inactive_user_is_changed_too() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    patch(&stack, &admin, &ada, json!({"is_active": false})).await;

    let tier = patch(&stack, &admin, &ada, json!({"tier": "enterprise"})).await;
    let on = patch(&stack, &admin, &ada, json!({"is_active": true})).await;

    assert_eq!(changed(&tier)["is_active"], false);
    assert_eq!(changed(&on)["tier"], "enterprise");
    let again = stack.login("ada@example.com").await;
    assert_eq!(stack.me_status(&again.access_token).await, 200);
}

#[tokio::test]
async fn a_change_leaves_word_of_who_made_it_and_what_it_was() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack
        .make_key(&admin, json!({"scopes": ["admin:write"]}))
        .await;

    patch(
        &stack,
        &admin,
        &ada,
        json!({"tier": "enterprise", "roles": ["user"]}),
    )
    .await;
    let by_key = stack.patch(&path_of(&ada)).key(&key.secret);
    by_key.json(&json!({"is_active": false})).send().await;

    let entries = audited(&stack, &ada).await;
    assert_eq!(entries.len(), 2, "{entries:?}");
    for entry in &entries {
        assert_eq!(entry["action"], "user-changed");
        assert_eq!(entry["actor"], admin.id);
    }
    assert_eq!(
        entries[0]["details"],
        json!({"before": {"tier": "free"}, "after": {"tier": "enterprise"}})
    );
    assert_eq!(
        entries[1]["details"],
        json!({"key": key.id, "before": {"is_active": true}, "after": {"is_active": false}})
    );
}

#[tokio::test]
async fn a_change_to_what_is_so_already_changes_nothing() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let before = user(&stack, &admin, &ada).await;
    stack.pass(std::time::Duration::from_secs(5));

    for nothing in [
        json!({}),
        json!({"tier": "free"}),
        json!({"is_active": true, "roles": ["user"]}),
        json!({"roles": []}),
    ] {
        let answer = patch(&stack, &admin, &ada, nothing).await;
        assert_eq!(*changed(&answer), before);
    }

    assert_eq!(user(&stack, &admin, &ada).await, before);
    assert!(audited(&stack, &ada).await.is_empty());
    assert_eq!(stack.me_status(&ada.access_token).await, 200);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_field_and_changes_nothing() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let cases: [(Value, &[(&str, &str)]); 9] = [
        (json!({"tier": "platinum"}), &[("tier", "invalid")]),
        (json!({"tier": "anonymous"}), &[("tier", "invalid")]),
        (json!({"tier": null}), &[("tier", "wrong-type")]),
        (json!({"roles": ["root"]}), &[("roles[0]", "invalid")]),
        (
            json!({"tier": "", "roles": ["user", "Admin", "user", ""]}),
            &[
                ("tier", "invalid"),
                ("roles[1]", "invalid"),
                ("roles[3]", "invalid"),
            ],
        ),
        (json!({"roles": "admin"}), &[("roles", "wrong-type")]),
        (json!({"is_active": "no"}), &[("is_active", "wrong-type")]),
        (json!({"is_active": null}), &[("is_active", "wrong-type")]),
        (json!({"email": "eve@example.com"}), &[("email", "unknown")]),
    ];

    for (change, expected) in cases {
        let answer = patch(&stack, &admin, &ada, change).await;
        answer.assert_invalid(expected);
    }
    assert!(audited(&stack, &ada).await.is_empty());
}
