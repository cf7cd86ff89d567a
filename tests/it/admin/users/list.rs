//! `GET /api/v1/admin/users`

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::admin::{USERS, patch, second_admin};
use crate::support::{Account, Answer, TestStack};

async fn list(stack: &TestStack, by: &Account, query: &str) -> Answer {
    let call = stack.get(&format!("{USERS}?{query}"));
    call.bearer(&by.access_token).send().await
}

#[track_caller]
fn emails(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["email"].as_str().unwrap()).collect()
}

/// Every page of a list, one after the other.
async fn pages(stack: &TestStack, by: &Account, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (vec![], String::new());
    loop {
        let page = list(stack, by, &format!("{query}{cursor}")).await;
        let found = emails(&page).into_iter();
        pages.push(found.map(str::to_owned).collect());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

/// Thirteen users, of whom some share a part of the index, and every third is in enterprise.
async fn thirteen(stack: &TestStack, admin: &Account) -> Vec<Account> {
    let mut users = vec![];
    for number in 0..13 {
        let user = stack
            .register(&format!("user{number:02}@example.com"))
            .await;
        if number % 3 == 0 {
            let changed = patch(stack, admin, &user, json!({"tier": "enterprise"})).await;
            assert_eq!(changed.status, 200, "{}", changed.text);
        }
        users.push(user);
    }
    users
}

#[tokio::test]
async fn users_are_listed_newest_first_page_by_page_all_of_them_or_a_tiers() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let users = thirteen(&stack, &admin).await;
    let newest_first = |step: usize, of: &[Account]| -> Vec<String> {
        let of = of.iter().step_by(step).rev();
        of.map(|user| user.email.clone())
            .chain([admin.email.clone()])
            .collect()
    };
    let in_enterprise = newest_first(3, &users);
    let free: Vec<String> = newest_first(1, &users)
        .into_iter()
        .filter(|email| !in_enterprise.contains(email))
        .collect();
    let cases = [
        ("", newest_first(1, &users)),
        ("&tier=enterprise", in_enterprise),
        ("&tier=free", free),
        ("&tier=nobodys", vec![]),
    ];

    for (filter, expected) in cases {
        for size in [1, 2, 5, 13, 14, 100] {
            let pages = pages(&stack, &admin, &format!("limit={size}{filter}")).await;

            assert!(
                pages.iter().all(|page| page.len() <= size),
                "{filter} by {size}"
            );
            assert_eq!(pages.concat(), expected, "{filter} by {size}");
            let full = expected.len().div_ceil(size).max(1);
            assert_eq!(pages.len(), full, "the last page has no cursor");
        }
    }
}

#[tokio::test]
async fn a_whole_address_finds_its_user_however_it_is_written() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("Ada.King@Example.com").await;
    let found = async |query: &str| {
        let answer = list(&stack, &admin, query).await;
        assert_eq!(answer.body["next_cursor"], json!(null));
        emails(&answer)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };

    assert_eq!(
        found("email=Ada.King@Example.com").await,
        [ada.email.as_str()]
    );
    assert_eq!(
        found("email=ada.king@EXAMPLE.COM").await,
        [ada.email.as_str()]
    );
    assert_eq!(found("email=ada.king@example.com&tier=free").await.len(), 1);
    assert_eq!(
        found("email=ada.king@example.com&tier=enterprise")
            .await
            .len(),
        0
    );
    assert_eq!(
        found("email=ada@example.com").await.len(),
        0,
        "a part is not enough"
    );
}

#[tokio::test]
async fn an_entry_of_the_index_without_its_record_is_left_out_and_the_list_goes_on() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let gone = stack.register("gone@example.com").await;
    let moved = stack.register("moved@example.com").await;
    let stays = stack.register("stays@example.com").await;
    let client = stack.dynamodb().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    // What the index still has of a record that was deleted, or moved to another tier, just now.
    for (number, user) in [&gone, &moved].into_iter().enumerate() {
        let entry = client
            .put_item()
            .table_name("IdentityTable")
            .item("pk", text("INDEX"))
            .item("sk", text(&number.to_string()))
            .item("id", text(&user.id))
            .item("tier", text("enterprise"));
        entry.send().await.unwrap();
    }
    let record = client
        .delete_item()
        .table_name("IdentityTable")
        .key("pk", text(&format!("USER#{}", gone.id)))
        .key("sk", text("USER"));
    record.send().await.unwrap();
    patch(&stack, &admin, &stays, json!({"tier": "enterprise"})).await;

    let pages = pages(&stack, &admin, "limit=1&tier=enterprise").await;

    assert_eq!(pages.concat(), [stays.email, admin.email.clone()]);
    assert_eq!(
        pages.len(),
        4,
        "two pages are empty, and none is the end before the end"
    );
}

#[tokio::test]
async fn a_cursor_belongs_to_its_selection_and_its_caller() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let other = second_admin(&stack, &admin, "other@example.com").await;
    stack.register("ada@example.com").await;
    stack.register("eve@example.com").await;
    let first = list(&stack, &admin, "limit=1&tier=free").await;
    let cursor = format!("cursor={}", first.body["next_cursor"].as_str().unwrap());
    let all = list(&stack, &admin, "limit=1").await;
    let cursor_of_all = format!("cursor={}", all.body["next_cursor"].as_str().unwrap());

    let good = list(&stack, &admin, &format!("tier=free&{cursor}")).await;

    assert_eq!(good.status, 200, "{}", good.text);
    let refused = [
        list(&stack, &other, &format!("tier=free&{cursor}")).await,
        list(&stack, &admin, &cursor).await,
        list(&stack, &admin, &format!("tier=enterprise&{cursor}")).await,
        list(&stack, &admin, &format!("tier=free&{cursor_of_all}")).await,
        list(
            &stack,
            &admin,
            &format!("email=ada@example.com&{cursor_of_all}"),
        )
        .await,
        list(&stack, &admin, &format!("tier=free&{cursor}A")).await,
    ];
    for answer in refused {
        answer.assert_problem(400, "invalid-cursor");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("limit=0", &[("limit", "out-of-range")]),
        ("limit=101", &[("limit", "out-of-range")]),
        ("email=ada", &[("email", "invalid")]),
        ("tier=", &[("tier", "invalid")]),
        (
            "email=ada&tier=P%00",
            &[("email", "invalid"), ("tier", "invalid")],
        ),
        ("role=admin", &[("role", "unknown")]),
    ];

    for (query, expected) in cases {
        list(&stack, &admin, query).await.assert_invalid(expected);
    }
}
