//! Where a request may go: never anywhere but below the base and the prefixes of the policy.

use proptest::prelude::*;
use reqwest::Url;
use turnpike_shared::limits::policy::UpstreamPolicy;
use turnpike_shared::upstreams::{InvalidTarget, Target};

use super::upstream_at;

const BASE: &str = "http://books.example:8080/api";

fn policy(paths: &str) -> UpstreamPolicy {
    upstream_at(BASE, &format!("proxy = true\npaths = {paths}"))
}

fn target(path: &str, query: Option<&str>) -> Result<String, InvalidTarget> {
    let target = Target::of_path(&policy(r#"["/"]"#), path, query)?;
    Ok(target.as_str().to_owned())
}

#[test]
fn a_plain_path_is_joined_to_the_base_as_it_is() {
    let cases = [
        ("", None, ""),
        ("/", None, ""),
        ("books", None, "/books"),
        ("/books", None, "/books"),
        ("books/", None, "/books/"),
        ("books/1/a-b_c~d.e", None, "/books/1/a-b_c~d.e"),
        ("books/...", None, "/books/..."),
        ("books/..a", None, "/books/..a"),
        ("a;b=c/d", None, "/a;b=c/d"),
        ("user@host:80", None, "/user@host:80"),
        ("http:evil", None, "/http:evil"),
        ("caf%C3%A9/%E2%82%AC", None, "/caf%C3%A9/%E2%82%AC"),
        ("a%20b%3Fc%23d", None, "/a%20b%3Fc%23d"),
        ("a%2Fb", None, "/a%2Fb"),
        ("100%25", None, "/100%25"),
        ("100%2525", None, "/100%2525"),
        ("a", Some(""), "/a?"),
        ("a", Some("b=c&d[]={e}|f"), "/a?b=c&d[]={e}|f"),
        (
            "a",
            Some("next=http://evil.example/../x"),
            "/a?next=http://evil.example/../x",
        ),
        ("a", Some("b=%0d%0aHost:evil"), "/a?b=%0d%0aHost:evil"),
    ];

    for (path, query, expected) in cases {
        assert_eq!(
            target(path, query),
            Ok(format!("{BASE}{expected}")),
            "{path:?} {query:?}"
        );
    }
}

#[test]
fn a_path_that_could_mean_something_else_is_refused() {
    use InvalidTarget::{Character, Encoding, Segment, TooLong};
    let cases = [
        ("..", Segment),
        (".", Segment),
        ("a/..", Segment),
        ("a/../b", Segment),
        ("a/./b", Segment),
        ("../", Segment),
        ("//evil.example/", Segment),
        ("a//b", Segment),
        ("///", Segment),
        ("http://evil.example/", Segment),
        ("//user@evil.example", Segment),
        ("%2e%2e", Segment),
        ("%2E%2e/b", Segment),
        (".%2e", Segment),
        ("a/%2e%2e/b", Segment),
        ("a/%252e%252e/b", Segment),
        ("a/%25252e%25252e/b", Segment),
        ("a/%2525252e./b", Segment),
        ("a%2f..%2fb", Segment),
        ("a%2f%2e%2e%2fb", Segment),
        ("a/%2f/b", Segment),
        ("%2fa", Segment),
        ("%2f%2fevil.example", Segment),
        ("..;/b", Segment),
        ("..;a=b/c", Segment),
        ("%2e%2e%3b/b", Segment),
        (";/b", Segment),
        ("a\\b", Character),
        ("..\\b", Character),
        ("a%5cb", Character),
        ("a%255cb", Character),
        ("%5c%5cevil.example", Character),
        ("a\nb", Character),
        ("a\u{7f}b", Character),
        ("a%00", Character),
        ("a%0d%0aHost:%20evil", Character),
        ("a%2509", Character),
        ("a%7f", Character),
        ("a%c2%85", Character),
        ("a%c0%ae%c0%ae/b", Encoding),
        ("a%ff", Encoding),
        ("a%e0%80%ae", Encoding),
        ("a%", Encoding),
        ("a%2", Encoding),
        ("a%zz", Encoding),
        ("a%25252525252525", Encoding),
        ("a b", Encoding),
        ("caf\u{e9}", Encoding),
        ("a\u{ff0e}\u{ff0e}/b", Encoding),
        ("a?b", Encoding),
        ("a#b", Encoding),
        ("a<b>", Encoding),
        ("a\"b", Encoding),
        ("a{b}", Encoding),
    ];

    for (path, expected) in cases {
        assert_eq!(target(path, None), Err(expected), "{path:?}");
    }
    assert_eq!(target(&"a".repeat(16 * 1024), None), Err(TooLong));
    assert_eq!(target("a", Some(&"b".repeat(16 * 1024))), Err(TooLong));
    for query in ["a b", "a#b", "a\nb", "a\\b", "caf\u{e9}"] {
        assert_eq!(target("a", Some(query)), Err(Encoding), "{query:?}");
    }
}

#[test]
fn only_what_lies_below_a_prefix_of_the_policy_is_reached() {
    let policy = policy(r#"["/books", "/authors/"]"#);
    let cases = [
        ("books", true),
        ("books/", true),
        ("books/1", true),
        ("authors/1", true),
        ("authors/", true),
        ("authors", false),
        ("", false),
        ("bookshop", false),
        ("books%2f1", false),
        ("book%73/1", false),
        ("Books", false),
        ("other/books", false),
        ("books;a=b", false),
    ];

    for (path, is_reached) in cases {
        let target = Target::of_path(&policy, path, None);
        assert_eq!(target.is_ok(), is_reached, "{path:?} {target:?}");
    }
}

/// Paths of pieces that are put together by whoever wants to get elsewhere; most begin where they may.
fn path() -> impl Strategy<Value = String> {
    let tricks = [
        "/",
        "/",
        "//",
        "\\",
        ".",
        "..",
        "/../",
        "%2e",
        "%2E%2e",
        "%2f",
        "%5c",
        "%252f",
        "%252e",
        "/%252e%252e/",
        "/%25252e%25252e",
        "%25",
        "%00",
        "@",
        ":",
        "?",
        "#",
        ";",
        "..;/",
        "http:",
        "evil.example",
        "a",
        "\u{e9}",
        "\u{ff0e}",
        "%c0%ae",
        " ",
        "\t",
        "%09",
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(tricks.to_vec()).prop_map(str::to_owned),
        1 => ".{0,3}",
    ];
    let beginning = prop_oneof![4 => Just("books"), 1 => Just("")];
    (beginning, proptest::collection::vec(piece, 0..8))
        .prop_map(|(beginning, pieces)| format!("{beginning}{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// The oracle is how browsers and many servers read addresses (WHATWG URL Standard): they
    /// resolve dots, backslashes and encoded dots.
    #[test]
    fn nobody_who_reads_the_address_gets_anywhere_else(path in path(), query in proptest::option::of(".{0,12}")) {
        if let Ok(target) = Target::of_path(&policy(r#"["/books"]"#), &path, query.as_deref()) {
            let mut form = target.as_str().split('?').next().unwrap().to_owned();
            prop_assert!(target.as_str().starts_with("http://books.example:8080/api/books"));
            // Somebody on the way may decode it, and somebody behind them again.
            for _ in 0..4 {
                let read = Url::parse(&form).unwrap();
                prop_assert_eq!(read.scheme(), "http");
                prop_assert_eq!(read.host_str(), Some("books.example"));
                prop_assert_eq!(read.port(), Some(8080));
                prop_assert_eq!(read.username(), "");
                let is_below = read.path() == "/api/books" || read.path().starts_with("/api/books/");
                prop_assert!(is_below, "{} from {:?}", read.path(), path);
                form = percent_decoded(&form);
            }
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap()
}
