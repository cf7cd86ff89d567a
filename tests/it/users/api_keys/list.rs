//! `GET /api/v1/users/api-keys`

use serde_json::json;

use crate::support::{Account, Answer, KEYS, TestStack};

async fn list(stack: &TestStack, account: &Account, query: &str) -> Answer {
    let call = stack.get(&format!("{KEYS}?{query}"));
    call.bearer(&account.access_token).send().await
}

fn names(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn keys_are_listed_newest_first_page_by_page_with_or_without_the_revoked() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let eve = stack.register("eve@example.com").await;
    stack.make_key(&eve, json!({"name": "eve's"})).await;
    let mut keys = vec![];
    for n in 0..7 {
        keys.push(stack.make_key(&ada, json!({"name": n.to_string()})).await);
    }
    for n in [1, 4, 6] {
        stack.revoke_key(&ada, &keys[n]).await;
    }
    let cases = [
        ("", vec!["5", "3", "2", "0"]),
        ("&include=revoked", vec!["6", "5", "4", "3", "2", "1", "0"]),
    ];

    for (include, expected) in cases {
        for size in [1, 2, 3, 4, 7, 100] {
            let (mut seen, mut cursor) = (vec![], String::new());
            loop {
                let page = list(&stack, &ada, &format!("limit={size}{include}{cursor}")).await;
                let found = names(&page);
                assert!(found.len() <= size);
                seen.extend(found.into_iter().map(str::to_owned));
                match page.body["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
                assert_ne!(seen.len(), expected.len(), "the last page has no cursor");
            }
            assert_eq!(seen, expected, "{size}{include}");
        }
    }
}

#[tokio::test]
async fn a_page_goes_on_behind_its_cursor_whatever_has_become_of_that_key() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let mut keys = vec![];
    for n in 0..4 {
        keys.push(stack.make_key(&ada, json!({"name": n.to_string()})).await);
    }
    let first = list(&stack, &ada, "limit=2").await;
    let cursor = first.body["next_cursor"].as_str().unwrap();

    stack.revoke_key(&ada, &keys[2]).await;
    let second = list(&stack, &ada, &format!("limit=2&cursor={cursor}")).await;

    assert_eq!(names(&first), ["3", "2"]);
    assert_eq!(names(&second), ["1", "0"]);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list_and_its_caller() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let eve = stack.register("eve@example.com").await;
    for _ in 0..2 {
        stack.make_key(&ada, json!({})).await;
    }
    let page = list(&stack, &ada, "limit=1").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let with = format!("cursor={cursor}");

    assert_eq!(list(&stack, &ada, &with).await.status, 200);
    let refused = [
        list(&stack, &eve, &with).await,
        list(&stack, &ada, &format!("{with}&include=revoked")).await,
        list(&stack, &ada, &format!("{with}A")).await,
        list(&stack, &ada, "cursor=").await,
    ];
    for answer in refused {
        answer.assert_problem(400, "invalid-cursor");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let cases = [
        ("limit=0", ("limit", "out-of-range")),
        ("limit=101", ("limit", "out-of-range")),
        ("limit=ten", ("limit", "wrong-type")),
        ("include=all", ("include", "invalid")),
        ("include=", ("include", "invalid")),
        ("include=revoked&include=revoked", ("include", "invalid")),
        ("size=3", ("size", "unknown")),
    ];

    for (query, expected) in cases {
        list(&stack, &ada, query).await.assert_invalid(&[expected]);
    }
}
