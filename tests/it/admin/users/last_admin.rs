//! One active admin stays, whoever is quickest.

use futures_util::future::join_all;
use serde_json::json;

use crate::admin::{audited, patch, second_admin};
use crate::support::{Account, Answer, TestStack};

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
