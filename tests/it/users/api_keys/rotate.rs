//! `POST /api/v1/users/api-keys/{id}/rotate`

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Key, TestStack};

#[tokio::test]
async fn without_an_overlap_the_new_key_takes_the_old_ones_place_at_once() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let request = json!({
        "scopes": ["profile:read"],
        "allowed_cidrs": ["127.0.0.1"],
        "expires_at": "2090-01-01T00:00:00Z",
        "limits": {"hour": 9},
    });
    let old = stack.make_key(&ada, request).await;
    let before = stack.show_key(&ada, &old).await;

    let path = format!("{}/rotate", old.path());
    let call = stack.post(&path).bearer(&ada.access_token).json(&json!({}));
    let answer = call.send().await;

    let new = Key::from_answer(&answer);
    let after = &answer.body["api_key"];
    for kept in ["name", "scopes", "allowed_cidrs", "expires_at", "limits"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert_ne!(after["id"], before["id"]);
    assert_eq!(after["prefix"], new.secret[..12]);
    stack
        .use_key(&old)
        .await
        .assert_problem(401, "unauthenticated");
    assert_eq!(stack.use_key(&new).await.status, 200);
    assert!(stack.show_key(&ada, &old).await["revoked_at"].is_string());
}

#[tokio::test]
async fn during_the_overlap_both_work_and_share_their_own_limits_and_then_the_new_one_alone() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let old = stack.make_key(&ada, json!({"limits": {"hour": 4}})).await;
    let new = Key::from_answer(&stack.rotate_key(&ada, &old, 60).await);

    let during = [
        stack.use_key(&old).await.status,
        stack.use_key(&new).await.status,
        stack.use_key(&old).await.status,
    ];
    let shown = stack.show_key(&ada, &old).await["revoked_at"].clone();
    stack.pass(Duration::from_mins(1));
    let ended = stack.show_key(&ada, &old).await["revoked_at"].clone();

    assert_eq!(during, [200, 200, 200]);
    assert_eq!(shown, Value::Null);
    assert!(ended.is_string());
    stack
        .use_key(&old)
        .await
        .assert_problem(401, "unauthenticated");
    assert_eq!(stack.use_key(&new).await.status, 200);
    assert_eq!(stack.use_key(&new).await.status, 429, "the old one's count");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_rotations_of_one_key_exactly_one_wins() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    for (overlap, code) in [(0, "key-revoked"), (60, "key-rotated")] {
        let key = stack.make_key(&ada, json!({})).await;
        let answers = join_all((0..20).map(|_| stack.rotate_key(&ada, &key, overlap))).await;

        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(won.len(), 1, "{overlap}");
        for answer in lost {
            answer.assert_problem(409, code);
        }
        assert_eq!(stack.use_key(&Key::from_answer(won[0])).await.status, 200);
    }
    let listed = stack.get(crate::support::KEYS).bearer(&ada.access_token);
    let listed = listed.send().await.body["items"].as_array().unwrap().len();
    assert_eq!(listed, 3, "two new keys, and one in its overlap");
}

#[tokio::test]
async fn a_key_that_is_not_live_or_rotates_already_is_not_rotated() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let revoked = stack.make_key(&ada, json!({})).await;
    stack.revoke_key(&ada, &revoked).await;
    let rotated = stack.make_key(&ada, json!({})).await;
    let successor = Key::from_answer(&stack.rotate_key(&ada, &rotated, 60).await);

    let of_revoked = stack.rotate_key(&ada, &revoked, 0).await;
    let of_rotated = stack.rotate_key(&ada, &rotated, 0).await;
    let of_successor = stack.rotate_key(&ada, &successor, 0).await;

    of_revoked.assert_problem(409, "key-revoked");
    of_rotated.assert_problem(409, "key-rotated");
    assert_eq!(of_successor.status, 201);
    // The overlap goes on as it was promised.
    assert_eq!(stack.use_key(&rotated).await.status, 200);
}

#[tokio::test]
async fn a_hundred_keys_leave_no_room_for_an_overlap() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let mut last = stack.make_key(&ada, json!({})).await;
    for _ in 0..99 {
        last = stack.make_key(&ada, json!({})).await;
    }

    let overlapping = stack.rotate_key(&ada, &last, 1).await;
    let at_once = stack.rotate_key(&ada, &last, 0).await;

    overlapping.assert_problem(409, "too-many-keys");
    assert_eq!(at_once.status, 201);
}

#[tokio::test]
async fn a_bad_overlap_is_told_and_changes_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let cases = [
        (
            json!({"overlap_seconds": -1}),
            ("overlap_seconds", "out-of-range"),
        ),
        (
            json!({"overlap_seconds": 86_401}),
            ("overlap_seconds", "out-of-range"),
        ),
        (
            json!({"overlap_seconds": "60"}),
            ("overlap_seconds", "wrong-type"),
        ),
        (json!({"scopes": []}), ("scopes", "unknown")),
    ];

    for (request, expected) in cases {
        let call = stack.post(&format!("{}/rotate", key.path()));
        let answer = call.bearer(&ada.access_token).json(&request).send().await;
        answer.assert_invalid(&[expected]);
    }
    assert_eq!(stack.use_key(&key).await.status, 200);
}
