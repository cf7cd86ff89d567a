//! `GET /.well-known/security.txt`

use crate::support::TestStack;

#[tokio::test]
async fn it_has_a_contact_and_an_expiry_as_rfc_9116_demands() {
    let contact = "mailto:security@example.com";
    let stack = TestStack::start_with(|env| env.with("TURNPIKE_SECURITY_CONTACT", contact)).await;

    let answer = stack.get("/.well-known/security.txt").send().await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert!(
        answer
            .text
            .lines()
            .any(|line| line == format!("Contact: {contact}"))
    );
    assert!(
        answer
            .text
            .lines()
            .any(|line| line.starts_with("Expires: 20") && line.ends_with('Z'))
    );
}
