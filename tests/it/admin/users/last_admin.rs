//! One active admin stays, whoever is quickest.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use serde_json::json;
use turnpike_shared::auth::{ChangedBy, PasswordHash, Role, Tier, User, UserChange};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{AccountStore, Administered, NewAccount, Verification};

use crate::admin::{audited, patch, second_admin};
use crate::limits::engines::{accounts_at, start_tables};
use crate::support::{Account, Answer, Fault, FaultProxy, OwnEngine, TestStack, client_at};

const NOW: Timestamp = Timestamp::from_millis(1_795_207_380_000);

/// How many of these can still administer the stage.
async fn active(stack: &TestStack, admins: &[&Account]) -> usize {
    let mut active = 0;
    for admin in admins {
        let call = stack
            .get("/api/v1/admin/policy")
            .bearer(&admin.access_token);
        active += usize::from(call.send().await.status == 200);
    }
    active
}

#[tokio::test]
async fn the_last_admin_keeps_role_and_activity() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let helper = stack.register("helper@example.com").await;
    patch(&stack, &admin, &helper, json!({"roles": ["support"]})).await;

    for change in [
        json!({"roles": ["user"]}),
        json!({"roles": ["support"]}),
        json!({"is_active": false}),
        json!({"roles": [], "is_active": false, "tier": "free"}),
    ] {
        let answer = patch(&stack, &admin, &admin, change).await;
        answer.assert_problem(409, "last-admin");
    }

    let kept = patch(
        &stack,
        &admin,
        &admin,
        json!({"tier": "free", "roles": ["admin", "support"]}),
    );
    assert_eq!(kept.await.status, 200, "what keeps the admin is allowed");
    assert_eq!(audited(&stack, &admin).await.len(), 1);
}

#[tokio::test]
async fn an_admin_may_go_while_another_stays_and_an_inactive_one_does_not_count() {
    let stack = TestStack::start().await;
    let first = stack.admin().await;
    let second = second_admin(&stack, &first, "second@example.com").await;

    let off = patch(&stack, &first, &second, json!({"is_active": false})).await;
    let alone = patch(&stack, &first, &first, json!({"roles": []})).await;
    let inactive_demoted = patch(&stack, &first, &second, json!({"roles": []})).await;
    let promoted = patch(&stack, &first, &second, json!({"roles": ["admin"]})).await;
    let still_alone = patch(&stack, &first, &first, json!({"is_active": false})).await;
    let on = patch(&stack, &first, &second, json!({"is_active": true})).await;
    let gone = patch(&stack, &first, &first, json!({"roles": []})).await;

    assert_eq!(off.status, 200, "{}", off.text);
    alone.assert_problem(409, "last-admin");
    assert_eq!(inactive_demoted.status, 200, "{}", inactive_demoted.text);
    assert_eq!(promoted.status, 200, "{}", promoted.text);
    still_alone.assert_problem(409, "last-admin");
    assert_eq!(on.status, 200, "{}", on.text);
    assert_eq!(gone.status, 200, "{}", gone.text);
    let second = stack.login("second@example.com").await;
    assert_eq!(active(&stack, &[&first, &second]).await, 1);
}

#[tokio::test]
async fn of_two_admins_who_demote_each_other_exactly_one_stays() {
    let stack = TestStack::start().await;
    let mut left = stack.admin().await;

    for round in 0..20 {
        let right = second_admin(&stack, &left, &format!("admin{round}@example.com")).await;
        let change = if round % 2 == 0 {
            json!({"roles": []})
        } else {
            json!({"is_active": false})
        };

        let (of_right, of_left) = tokio::join!(
            patch(&stack, &left, &right, change.clone()),
            patch(&stack, &right, &left, change),
        );

        assert_eq!(active(&stack, &[&left, &right]).await, 1, "round {round}");
        // Who was demoted before being asked is no admin any more; else the last one is kept.
        let is_refusal = |answer: &Answer| match answer.status {
            409 => answer.code() == "last-admin",
            status => [401, 403].contains(&status),
        };
        let stays = match (of_right.status, of_left.status) {
            (200, _) if is_refusal(&of_left) => left,
            (_, 200) if is_refusal(&of_right) => right,
            other => panic!(
                "round {round}: {other:?}, {}, {}",
                of_right.text, of_left.text
            ),
        };
        left = stays;
    }
}

#[tokio::test]
async fn of_eight_admins_who_all_resign_at_once_exactly_one_stays() {
    let stack = TestStack::start().await;
    let first = stack.admin().await;
    let mut admins = vec![first.clone()];
    for number in 1..8 {
        let email = format!("admin{number}@example.com");
        admins.push(second_admin(&stack, &first, &email).await);
    }

    let resign = |admin| patch(&stack, admin, admin, json!({"roles": ["user"]}));
    let answers = join_all(admins.iter().map(resign)).await;

    let mut refused: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    let kept = refused.pop().expect("one cannot");
    kept.assert_problem(409, "last-admin");
    assert!(refused.is_empty(), "{:?}", refused[0].text);
    let all: Vec<&Account> = admins.iter().collect();
    assert_eq!(active(&stack, &all).await, 1);
}

async fn new_admin(accounts: &AccountStore, email: &str) -> UserId {
    let id = UserId::new(NOW);
    let user = User {
        id,
        email: email.parse().unwrap(),
        full_name: None,
        tier: Tier::free(),
        roles: vec![Role::Admin],
        is_active: true,
        is_verified: true,
        created_at: NOW,
        updated_at: NOW,
        quota_override: None,
        keys_revoked: None,
        epoch: 1,
    };
    let account = NewAccount {
        user,
        password: PasswordHash::stored("none".to_owned()),
        session: None,
        verification: Verification::AlreadyDone,
    };
    accounts.register(&account, NOW).await.unwrap();
    id
}

/// The item that names the active admins.
async fn listed(engine: &OwnEngine) -> Vec<String> {
    let get = client_at(&engine.endpoint())
        .get_item()
        .table_name("IdentityTable")
        .key("pk", AttributeValue::S("ADMINS".to_owned()))
        .key("sk", AttributeValue::S("ACTIVE".to_owned()));
    let item = get.send().await.unwrap().item.unwrap();
    item["ids"].as_ss().unwrap().clone()
}

/// Takes an admin off the list, as if an older release had made them.
async fn unlist(engine: &OwnEngine, admin: UserId) {
    let update = client_at(&engine.endpoint())
        .update_item()
        .table_name("IdentityTable")
        .key("pk", AttributeValue::S("ADMINS".to_owned()))
        .key("sk", AttributeValue::S("ACTIVE".to_owned()))
        .update_expression("DELETE ids :ids")
        .expression_attribute_values(":ids", AttributeValue::Ss(vec![admin.to_string()]));
    update.send().await.unwrap();
}

#[tokio::test]
async fn an_admin_who_is_demoted_while_they_are_being_listed_is_not_listed() {
    let engine = start_tables().await;
    let proxy = FaultProxy::start(&engine).await;
    let accounts = accounts_at(&engine.endpoint());
    let keeper = new_admin(&accounts, "keeper@example.com").await;
    let old = new_admin(&accounts, "old@example.com").await;
    unlist(&engine, old).await;

    proxy.set(Fault::Hold("ADMINS".to_owned()));
    let listing = accounts_at(&proxy.endpoint);
    let listing = tokio::spawn(async move { listing.users().admin_is_listed(old).await });
    proxy.held().await;
    let demoted = UserChange {
        tier: None,
        is_active: None,
        roles: Some(vec![Role::User]),
    };
    let by = ChangedBy {
        user: keeper,
        key: None,
    };
    let demoted = accounts.users().change_user(old, &demoted, by, NOW).await;
    proxy.set(Fault::None);
    let is_listed = listing.await.unwrap().unwrap();

    assert!(matches!(demoted.unwrap(), Administered::Done(_)));
    assert!(!is_listed);
    assert_eq!(listed(&engine).await, [keeper.to_string()]);
}

#[tokio::test]
async fn an_admin_from_before_there_was_a_list_is_put_on_it() {
    let engine = start_tables().await;
    let accounts = accounts_at(&engine.endpoint());
    let old = new_admin(&accounts, "old@example.com").await;
    new_admin(&accounts, "new@example.com").await;
    unlist(&engine, old).await;

    let is_listed = accounts.users().admin_is_listed(old).await.unwrap();

    assert!(is_listed);
    assert!(listed(&engine).await.contains(&old.to_string()));
}
