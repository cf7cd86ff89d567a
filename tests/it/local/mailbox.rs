//! `GET /_local/mail`

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::Method;
use turnpike_shared::clock::Clock;
use turnpike_shared::ids::EventId;

use crate::support::TestStack;

#[tokio::test]
async fn mails_are_listed_newest_first_and_by_recipient() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    stack.register("eve+news@example.com").await;

    let all = stack.get("/_local/mail").send().await;
    let hers = stack.mails("EVE+news@example.com").await;

    let items = all.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["to"], "eve+news@example.com");
    assert_eq!(items[0].as_object().unwrap().len(), 5);
    assert!(items[0]["sent_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(hers.len(), 1);
    assert_eq!(stack.mails("nobody@example.com").await.len(), 0);
}

#[tokio::test]
async fn a_name_that_was_pointed_here_and_a_page_of_another_origin_see_nothing() {
    let stack = TestStack::start().await;
    let port = stack.stack.addr.port();
    let refused = [
        ("host", "evil.example".to_owned()),
        ("host", format!("evil.example:{port}")),
        ("host", "127.0.0.1".to_owned()),
        ("origin", "https://evil.example".to_owned()),
        ("origin", "null".to_owned()),
    ];

    for (name, value) in refused {
        let answer = stack
            .call(Method::GET, "/_local/mail")
            .header(name, &value)
            .send()
            .await;
        answer.assert_problem(404, "not-found");
    }
    for (name, value) in [
        ("host", format!("localhost:{port}")),
        ("origin", stack.base.clone()),
    ] {
        let answer = stack
            .call(Method::GET, "/_local/mail")
            .header(name, &value)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_event_that_can_never_be_carried_out_does_not_hold_up_the_others() {
    let stack = TestStack::start().await;
    let id = EventId::new(Clock::system().now());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &str| AttributeValue::N(number.to_owned());
    let mail = HashMap::from([
        ("kind".to_owned(), text("reset-password")),
        ("email".to_owned(), text("not an address")),
    ]);
    let poison = stack
        .dynamodb()
        .await
        .put_item()
        .table_name("IdentityTable")
        .item("pk", text(&format!("OUTBOX#{id}")))
        .item("sk", text("EVENT"))
        .item("id", text(&id.to_string()))
        .item("mail", AttributeValue::M(mail))
        .item("created_at", number("0"))
        .item("ttl", number("9999999999"));
    poison.send().await.unwrap();

    stack.register("ada@example.com").await;

    assert_eq!(stack.mails("ada@example.com").await.len(), 1);
}
