//! What passes between a client and an upstream, and what does not.

use std::collections::BTreeSet;

use reqwest::Method;

use super::{Proxied, said};
use crate::support::{Call, Reply};

const EVERYTHING: &str =
    "methods = [\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\"]\n";

#[tokio::test]
async fn method_path_query_body_and_listed_headers_pass_as_they_are() {
    let proxied = Proxied::start(Reply::text("done").with_status(201), EVERYTHING).await;
    let path = "/a%20b/c;d=1,2/caf%C3%A9?q=1&q=%2F&empty=&x=a+b";

    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let call = proxied.call(method.clone(), path);
        let call = call
            .header("accept-language", "de")
            .header("content-type", "x/y");
        let answer = call.body(&b"\x00\xff{"[..]).send().await;

        assert_eq!((answer.status, answer.text.as_str()), (201, "done"));
        let asked = proxied.upstream.received().pop().unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str()),
            (method.as_str(), path)
        );
        assert_eq!(asked.body, b"\x00\xff{");
        assert_eq!(asked.header("content-type").as_deref(), Some("x/y"));
        assert_eq!(asked.header("accept-language").as_deref(), Some("de"));
    }
}

#[tokio::test]
async fn credentials_and_what_belongs_to_a_connection_never_pass() {
    let proxied = Proxied::answering(said("no-store")).await;
    let unwanted = [
        ("cookie", "a=b"),
        ("connection", "accept-language, x-other"),
        ("accept-language", "de"),
        ("x-other", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eDp5"),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
    ];
    let sent = |call: Call| {
        let add = |call: Call, (name, value): (&str, &str)| call.header(name, value);
        unwanted.into_iter().fold(call, add)
    };

    sent(proxied.get("/books")).send().await;

    let asked = proxied.upstream.received().pop().unwrap();
    let names: BTreeSet<&str> = asked
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = ["accept", "accept-encoding", "host", "user-agent"];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(asked.header("accept-encoding").as_deref(), Some("identity"));
    let host = proxied.upstream.base.strip_prefix("http://");
    assert_eq!(asked.header("host").as_deref(), host);
}

#[tokio::test]
async fn an_answer_passes_without_what_would_act_in_our_name() {
    let reply = Reply::bytes("text/html", "<script>alert(1)</script>")
        .with_header("set-cookie", "a=b")
        .with_header("content-security-policy", "default-src *")
        .with_header("access-control-allow-origin", "*")
        .with_header("strict-transport-security", "max-age=0")
        .with_header("x-content-type-options", "none")
        .with_header("x-request-id", "of-the-upstream")
        .with_header("x-ratelimit-limit", "7")
        .with_header("www-authenticate", "Basic")
        .with_header("x-powered-by", "an upstream")
        .with_header("connection", "etag")
        .with_header("etag", "\"1\"")
        .with_header("content-language", "en")
        .with_header("cache-control", "max-age=60");
    let proxied = Proxied::answering(reply).await;

    for _ in 0..2 {
        let answer = proxied
            .get("/books")
            .header("x-request-id", "of-the-client")
            .send()
            .await;
        let shown = |name: &str| answer.header(name).to_owned();
        assert_eq!(
            shown("content-security-policy"),
            "sandbox; default-src 'none'"
        );
        assert_eq!(shown("x-content-type-options"), "nosniff");
        assert_eq!(shown("x-request-id"), "of-the-client");
        assert_eq!(
            shown("strict-transport-security"),
            "max-age=63072000; includeSubDomains"
        );
        assert_eq!(
            (shown("content-type"), shown("content-language")),
            ("text/html".into(), "en".into())
        );
        assert_eq!(shown("x-ratelimit-limit"), "1000000");
        for gone in [
            "set-cookie",
            "access-control-allow-origin",
            "www-authenticate",
            "x-powered-by",
            "etag",
        ] {
            assert!(!answer.headers.contains_key(gone), "{gone}");
        }
    }
}

#[tokio::test]
async fn a_path_leads_nowhere_but_below_the_base_and_the_prefixes() {
    let fields = "paths = [\"/books\"]\n";
    let proxied = Proxied::start(said("no-store"), fields).await;
    let tricks = [
        "/books/%2e%2e/secret",
        "/books/%252e%252e/secret",
        "/books/..%2fsecret",
        "/books/%5c..%5csecret",
        "/books//secret",
        "/books/%00",
        "/books/%ff",
        "/books/%zz",
        "/booksellers",
        "/",
        "",
        "/secret",
    ];

    for path in tricks {
        let raw = raw_get(&proxied, &format!("/api/v1/proxy/library{path}")).await;
        assert!(raw.starts_with("HTTP/1.1 400 "), "{path}: {raw}");
        assert!(raw.contains("\"invalid-path\""), "{path}: {raw}");
    }
    let dots = raw_get(&proxied, "/api/v1/proxy/library/books/../secret").await;
    assert!(dots.starts_with("HTTP/1.1 4"), "{dots}");
    assert_eq!(proxied.calls(), 0);
    let allowed = proxied.get("/books/1").send().await;
    assert_eq!(allowed.status, 200);
}

/// Asks with a target exactly as it is written, which no client would send.
async fn raw_get(proxied: &Proxied, target: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let authority = proxied.stack.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
    let token = &proxied.user.access_token;
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn with_and_without_a_slash_the_base_is_asked() {
    let proxied = Proxied::answering(said("max-age=60")).await;

    let without = proxied.get("").send().await;
    let with = proxied.get("/").send().await;
    proxied.get("?q=1").send().await;

    assert_eq!((without.status, with.status), (200, 200));
    assert!(super::is_hit(&with));
    let targets: Vec<String> = proxied
        .upstream
        .received()
        .into_iter()
        .map(|it| it.target)
        .collect();
    assert_eq!(targets, ["/", "/?q=1"]);
}

#[tokio::test]
async fn a_body_that_is_too_large_does_not_reach_the_upstream() {
    let proxied = Proxied::start(said("no-store"), EVERYTHING).await;
    let largest = vec![b'x'; 1024 * 1024];
    let too_large = vec![b'x'; 1024 * 1024 + 1];

    let passed = proxied.call(Method::POST, "/").body(largest).send().await;
    let refused = proxied.call(Method::POST, "/").body(too_large).send().await;

    assert_eq!(passed.status, 200);
    refused.assert_problem(413, "payload-too-large");
    assert_eq!(proxied.calls(), 1);
}

#[tokio::test]
async fn the_caches_behind_are_named_ahead_of_this_one() {
    let reply = said("max-age=60").with_header("cache-status", "Origin; hit; ttl=9");
    let proxied = Proxied::answering(reply).await;

    let fetched = proxied.get("/books").send().await;
    let kept = proxied.get("/books").send().await;

    let behind = "Origin;hit;ttl=9, turnpike;";
    assert!(fetched.header("cache-status").starts_with(behind));
    assert!(kept.header("cache-status").starts_with(behind));
    assert!(super::is_hit(&kept));
}
