//! Bodies that are not what the route reads: the documented 4xx, never a 5xx.

use serde_json::json;

use crate::support::{PASSWORD, TestStack};

const LOGIN: &str = "/api/v1/auth/login";

#[tokio::test]
async fn a_body_that_is_not_well_formed_json_is_400() {
    let stack = TestStack::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_member = format!(
        "{{\"email\":{}1{}}}",
        "{\"a\":".repeat(200),
        "}".repeat(200)
    );
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("white space", b"  \n".to_vec()),
        ("half", br#"{"email": "a@example.com""#.to_vec()),
        (
            "a trailing comma",
            br#"{"email": "a@example.com",}"#.to_vec(),
        ),
        (
            "two values",
            br#"{"email": "a@example.com", "password": "x"} {}"#.to_vec(),
        ),
        ("single quotes", b"{'email': 'a@example.com'}".to_vec()),
        (
            "a comment",
            br#"{"email": "a@example.com" /* me */}"#.to_vec(),
        ),
        ("a form", b"email=a@example.com&password=x".to_vec()),
        ("NaN", br#"{"email": NaN}"#.to_vec()),
        (
            "a member twice",
            br#"{"email": "a@example.com", "password": "x", "email": "b@example.com"}"#.to_vec(),
        ),
        (
            "a member twice, escaped",
            br#"{"email": "a@example.com", "\u0065mail": "b@example.com", "password": "x"}"#
                .to_vec(),
        ),
        (
            "a lone surrogate",
            br#"{"email": "\ud800", "password": "x"}"#.to_vec(),
        ),
        (
            "a control character",
            b"{\"email\": \"a\x01@example.com\", \"password\": \"x\"}".to_vec(),
        ),
        (
            "bytes that are not UTF-8",
            b"{\"email\": \"\xff\xfe\", \"password\": \"x\"}".to_vec(),
        ),
        (
            "UTF-16",
            "{\"email\": 1}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"email\": \"a@example.com\", \"password\": \"x\"}".to_vec(),
        ),
        ("a number out of range", br#"{"email": 1e999}"#.to_vec()),
        ("10,000 brackets", deep.into_bytes()),
        ("200 objects", deep_member.into_bytes()),
    ];

    for (case, body) in cases {
        let answer = stack.post(LOGIN).raw_json(body).send().await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "malformed-json"),
            "{case}: {}",
            answer.text
        );
        answer.assert_problem(400, "malformed-json");
    }
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_byte_more_is_413() {
    let stack = TestStack::start().await;
    let body_of = |bytes: usize| {
        let frame = json!({"email": "a@example.com", "password": ""}).to_string();
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len())))
    };

    let largest = stack.post(LOGIN).raw_json(body_of(64 * 1024)).send().await;
    let larger = stack
        .post(LOGIN)
        .raw_json(body_of(64 * 1024 + 1))
        .send()
        .await;
    let huge = stack
        .post(LOGIN)
        .raw_json(vec![b'x'; 5_000_000])
        .send()
        .await;

    largest.assert_problem(401, "invalid-credentials");
    larger.assert_problem(413, "payload-too-large");
    huge.assert_problem(413, "payload-too-large");
}

#[tokio::test]
async fn a_body_that_does_not_say_it_is_json_is_415() {
    let stack = TestStack::start().await;
    let body = json!({"email": "a@example.com", "password": "x"}).to_string();
    let types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "json",
        "",
        "text/json",
    ];

    stack
        .post(LOGIN)
        .body(body.clone())
        .send()
        .await
        .assert_problem(415, "unsupported-media-type");
    for content_type in types {
        let answer = stack
            .post(LOGIN)
            .header("content-type", content_type)
            .body(body.clone())
            .send()
            .await;
        answer.assert_problem(415, "unsupported-media-type");
    }
    for content_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
    ] {
        let answer = stack
            .post(LOGIN)
            .header("content-type", content_type)
            .body(body.clone())
            .send()
            .await;
        answer.assert_problem(401, "invalid-credentials");
    }
}

#[tokio::test]
async fn refusals_come_in_their_order_credential_size_type_syntax_content() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let path = "/api/v1/auth/password/change";
    let huge = || vec![b'{'; 100_000];

    let nobody = stack.put(path).body(huge()).send().await;
    let large = stack
        .put(path)
        .bearer(&account.access_token)
        .body(huge())
        .send()
        .await;
    let untyped = stack
        .put(path)
        .bearer(&account.access_token)
        .body("{")
        .send()
        .await;
    let malformed = stack
        .put(path)
        .bearer(&account.access_token)
        .raw_json("{")
        .send()
        .await;
    let invalid = stack
        .put(path)
        .bearer(&account.access_token)
        .raw_json("{}")
        .send()
        .await;
    let body = json!({"current_password": "wrong", "new_password": "quartz-lantern-orchid-3"});
    let wrong = stack
        .put(path)
        .bearer(&account.access_token)
        .json(&body)
        .send()
        .await;

    nobody.assert_problem(401, "unauthenticated");
    large.assert_problem(413, "payload-too-large");
    untyped.assert_problem(415, "unsupported-media-type");
    malformed.assert_problem(400, "malformed-json");
    invalid.assert_problem(422, "validation-failed");
    wrong.assert_problem(403, "wrong-password");
    assert!(
        stack
            .login("ada@example.com")
            .await
            .email
            .starts_with("ada"),
        "{PASSWORD} still holds"
    );
}
