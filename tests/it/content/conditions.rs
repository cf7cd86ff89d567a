//! What clients say of what is to be there: `If-Match`, `If-None-Match`.

use futures_util::future::join_all;
use serde_json::json;

use super::{path, put, put_well, show, under, wish, wish_with};
use crate::support::{Answer, TestStack};

fn other() -> serde_json::Value {
    wish_with("quality_score", json!(1))
}

#[tokio::test]
async fn who_knows_what_is_there_replaces_and_removes_it_and_who_does_not_is_told() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let stale = put_well(&stack, &admin, "a", &wish()).await;
    let current = put_well(&stack, &admin, "a", &other()).await;
    let weak = format!("W/{current}");
    let put_under = |tags: String| {
        let call = stack.put(&path("a")).json(&wish());
        let admin = admin.clone();
        async move { under(call, &admin, "if-match", &tags).await }
    };

    for unknown in [&stale, "\"other\"", &weak] {
        put_under(unknown.to_owned())
            .await
            .assert_problem(412, "precondition-failed");
        let removed = under(stack.delete(&path("a")), &admin, "if-match", unknown).await;
        removed.assert_problem(412, "precondition-failed");
        let shown = under(stack.get(&path("a")), &admin, "if-match", unknown).await;
        shown.assert_problem(412, "precondition-failed");
    }
    assert_eq!(show(&stack, &admin, "a").await.header("etag"), current);
    let replaced = put_under(format!("{stale}, {current}")).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    let anything = put_under("*".to_owned()).await;
    assert_eq!(anything.status, 200, "{}", anything.text);
    let tag = anything.header("etag");
    let removed = under(stack.delete(&path("a")), &admin, "if-match", tag).await;
    assert_eq!(removed.status, 204, "{}", removed.text);
}

#[tokio::test]
async fn where_nothing_is_nothing_matches() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;

    let put = under(stack.put(&path("a")).json(&wish()), &admin, "if-match", "*").await;
    let removed = under(stack.delete(&path("a")), &admin, "if-match", "*").await;
    let shown = under(stack.get(&path("a")), &admin, "if-none-match", "*").await;

    put.assert_problem(412, "precondition-failed");
    removed.assert_problem(404, "not-found");
    shown.assert_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_put_where_nothing_is_to_be_one_wins() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let put_new = |number: usize| {
        let body = wish_with("metadata", json!({"by": number}));
        let call = stack.put(&path("a")).json(&body);
        let admin = admin.clone();
        async move { under(call, &admin, "if-none-match", "*").await }
    };

    let answers: Vec<Answer> = join_all((0..20).map(put_new)).await;

    let winners: Vec<&Answer> = answers.iter().filter(|one| one.status == 201).collect();
    assert_eq!(winners.len(), 1);
    for loser in answers.iter().filter(|one| one.status != 201) {
        loser.assert_problem(412, "precondition-failed");
    }
    assert_eq!(show(&stack, &admin, "a").await.body, winners[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_replace_what_they_know_one_wins() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let tag = put_well(&stack, &admin, "a", &wish()).await;
    let replace = |number: usize| {
        let body = wish_with("metadata", json!({"by": number}));
        let call = stack.put(&path("a")).json(&body);
        let (admin, tag) = (admin.clone(), tag.clone());
        async move { under(call, &admin, "if-match", &tag).await }
    };

    let answers: Vec<Answer> = join_all((0..20).map(replace)).await;

    let winners: Vec<&Answer> = answers.iter().filter(|one| one.status == 200).collect();
    assert_eq!(winners.len(), 1);
    for loser in answers.iter().filter(|one| one.status != 200) {
        loser.assert_problem(412, "precondition-failed");
    }
    assert_eq!(show(&stack, &admin, "a").await.body, winners[0].body);
}

#[tokio::test]
async fn a_precondition_that_cannot_be_read_comes_behind_a_body_that_cannot() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let call = |body: &'static str| {
        let call = stack.put(&path("a")).bearer(&admin.access_token);
        call.header("if-match", "unquoted").raw_json(body).send()
    };

    call("{").await.assert_problem(400, "malformed-json");
    let body: &'static str = wish().to_string().leak();
    call(body).await.assert_invalid(&[("If-Match", "invalid")]);
    let nothing = put(&stack, &admin, "b", &wish()).await;
    assert_eq!(nothing.status, 201);
}
