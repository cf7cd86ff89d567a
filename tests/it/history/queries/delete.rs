//! `DELETE /api/v1/history/queries/{id}`.

use futures_util::future::join_all;
use turnpike_shared::ids::QueryId;

use super::{QUERIES, ask};
use crate::support::{Account, Answer, TestStack};

async fn delete(stack: &TestStack, account: &Account, id: &str) -> Answer {
    let call = stack.delete(&format!("{QUERIES}/{id}"));
    call.bearer(&account.access_token).send().await
}

#[tokio::test]
async fn a_deleted_query_is_gone_and_the_others_stay() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let asked = ask(&stack, &ada, &["one", "two"]).await;

    let deleted = delete(&stack, &ada, &asked[0].id.to_string()).await;
    let again = delete(&stack, &ada, &asked[0].id.to_string()).await;

    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    again.assert_problem(404, "not-found");
    let list = stack.get(QUERIES).bearer(&ada.access_token).send().await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["items"][0]["query"], "two");
}

#[tokio::test]
async fn anothers_an_unknown_and_a_malformed_id_are_alike() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    let asked = ask(&stack, &ada, &["mine"]).await;
    let unknown = QueryId::new(stack.now()).to_string();
    let of_another_kind = asked[0].id.to_string().replace("qry_", "job_");

    for id in [&asked[0].id.to_string(), &unknown, &of_another_kind, "x"] {
        delete(&stack, &bob, id)
            .await
            .assert_problem(404, "not-found");
    }

    let mine = delete(&stack, &ada, &asked[0].id.to_string()).await;
    assert_eq!(mine.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_deletions_one_finds_the_query() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let id = ask(&stack, &ada, &["one"]).await[0].id.to_string();

    let answers = join_all((0..20).map(|_| delete(&stack, &ada, &id))).await;

    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204);
    assert!(statuses[1..].iter().all(|status| *status == 404));
}
