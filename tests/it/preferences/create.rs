//! `POST /api/v1/preferences`.

use futures_util::future::join_all;
use serde_json::json;

use super::{PREFERENCES, create, map_of, refused, show, shown, wish, wish_with};
use crate::support::TestStack;

#[tokio::test]
async fn preferences_are_shown_as_they_were_set() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let created = create(&stack, &ada, &wish()).await;

    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(shown(&created), wish());
    let preferences = &created.body["preferences"];
    assert_eq!(preferences["created_at"], preferences["updated_at"]);
    assert_eq!(show(&stack, &ada).await.body, created.body);
}

#[tokio::test]
async fn whoever_has_preferences_is_told_and_keeps_them() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    create(&stack, &ada, &wish()).await;
    let other = wish_with("depth_preference", Some(json!(6)));

    let again = create(&stack, &ada, &other).await;
    let anothers = create(&stack, &bob, &other).await;

    again.assert_problem(409, "preferences-exist");
    assert_eq!(shown(&show(&stack, &ada).await), wish());
    assert_eq!(anothers.status, 201, "{}", anothers.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_settings_one_wins() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let wishes: Vec<_> = (0..20)
        .map(|number| wish_with("topic_preferences", Some(json!({"by": number}))))
        .collect();
    let answers = join_all(wishes.iter().map(|wish| create(&stack, &ada, wish))).await;

    let winners: Vec<_> = answers.iter().filter(|one| one.status == 201).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(show(&stack, &ada).await.body, winners[0].body);
    for loser in answers.iter().filter(|one| one.status != 201) {
        loser.assert_problem(409, "preferences-exist");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_kept() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    for (body, named) in refused() {
        create(&stack, &ada, &body).await.assert_invalid(&named);
    }

    show(&stack, &ada).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn both_maps_may_be_as_large_as_they_may() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let mut largest = wish_with("topic_preferences", Some(map_of(16 * 1024)));
    largest["contextual_preferences"] = map_of(16 * 1024);

    let created = create(&stack, &ada, &largest).await;

    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(shown(&show(&stack, &ada).await), largest);
}

#[tokio::test]
async fn numbers_and_depths_that_the_database_does_not_have_are_kept_as_they_are() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let odd =
        json!({"large": 1e300, "small": 1e-300, "whole": u64::MAX, "empty": "", "deep": deep});

    let created = create(
        &stack,
        &ada,
        &wish_with("topic_preferences", Some(odd.clone())),
    )
    .await;

    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(shown(&show(&stack, &ada).await)["topic_preferences"], odd);
}

#[tokio::test]
async fn a_key_with_the_scope_sets_its_owners_preferences() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let scopes = json!({"scopes": ["preferences:write"]});
    let key = stack.make_key(&ada, scopes).await;

    let created = stack.post(PREFERENCES).key(&key.secret).json(&wish());
    let created = created.send().await;

    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(show(&stack, &ada).await.body, created.body);
}
