//! `PUT /api/v1/preferences`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{create, delete, refused, replace, show, shown, wish, wish_with};
use crate::support::TestStack;

#[tokio::test]
async fn every_field_is_replaced_and_the_time_of_the_first_setting_stays() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let created = create(&stack, &ada, &wish()).await;
    let other = json!({
        "topic_preferences": {"arts": 1}, "depth_preference": 6,
        "surprise_tolerance": 5, "contextual_preferences": {},
    });

    stack.pass(Duration::from_secs(5));
    let replaced = replace(&stack, &ada, &other).await;

    assert_eq!(replaced.status, 200, "{}", replaced.text);
    assert_eq!(shown(&replaced), other);
    let (before, after) = (&created.body["preferences"], &replaced.body["preferences"]);
    assert_eq!(after["created_at"], before["created_at"]);
    assert_ne!(after["updated_at"], before["updated_at"]);
    assert_eq!(show(&stack, &ada).await.body, replaced.body);
}

#[tokio::test]
async fn where_there_are_none_nothing_is_set() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let replaced = replace(&stack, &ada, &wish()).await;

    replaced.assert_problem(404, "not-found");
    show(&stack, &ada).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_the_preferences_stay() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    create(&stack, &ada, &wish()).await;

    for (body, named) in refused() {
        replace(&stack, &ada, &body).await.assert_invalid(&named);
    }

    assert_eq!(shown(&show(&stack, &ada).await), wish());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_races_a_removal_brings_nothing_back() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    for _ in 0..10 {
        create(&stack, &ada, &wish()).await;
        let other = wish_with("depth_preference", Some(json!(1)));
        let replacing = join_all((0..4).map(|_| replace(&stack, &ada, &other)));
        let (answers, removed) = tokio::join!(replacing, delete(&stack, &ada));

        assert_eq!(removed.status, 204);
        assert!(answers.iter().all(|one| matches!(one.status, 200 | 404)));
        show(&stack, &ada).await.assert_problem(404, "not-found");
    }
}
