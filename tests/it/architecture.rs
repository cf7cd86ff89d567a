//! What the source promises of itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use turnpike_shared::errors::ProblemCode;

use crate::support::{TestStack, root};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds code");
    found
}

/// A module of `shared`, which is a file or a folder.
fn module(name: &str) -> Vec<(PathBuf, String)> {
    let file = root().join(format!("shared/src/{name}.rs"));
    match std::fs::read_to_string(&file) {
        Ok(text) => vec![(file, text)],
        Err(_) => sources(&format!("shared/src/{name}")),
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    ["shared/src", "functions", "infra/local/src"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

#[test]
fn the_domain_knows_neither_aws_nor_http() {
    let foreign =
        Regex::new(r"\b(aws_sdk_\w+|aws_config|redis|axum|lambda_http|lambda_runtime)::").unwrap();
    let domain = [
        "audit",
        "auth",
        "behavior",
        "cache",
        "content",
        "errors",
        "history",
        "idempotency",
        "jobs",
        "limits",
        "mail",
        "preferences",
        "queries",
        "upstreams",
    ];

    for (path, text) in domain.into_iter().flat_map(module) {
        assert!(
            !foreign.is_match(&text),
            "{} imports {:?}",
            path.display(),
            foreign.find(&text)
        );
    }
}

#[test]
fn aws_types_stay_inside_the_stores() {
    let sdk = Regex::new(r"\baws_(sdk_\w+|smithy_\w+)::").unwrap();
    let may_use = |path: &Path| path.to_string_lossy().contains("shared/src/stores");

    for (path, text) in [sources("shared/src"), sources("functions")].concat() {
        assert!(
            may_use(&path) || !sdk.is_match(&text),
            "{} uses the SDK",
            path.display()
        );
    }
}

#[test]
fn a_request_path_never_scans() {
    for (path, text) in all_sources() {
        assert!(
            !text.contains(".scan()"),
            "{} scans a table",
            path.display()
        );
    }
}

#[test]
fn every_file_says_what_it_owns_and_a_main_is_short() {
    for (path, text) in [all_sources(), sources("tests/it")].concat() {
        assert!(
            text.starts_with("//!"),
            "{} opens without a word",
            path.display()
        );
        let is_function =
            path.to_string_lossy().contains("functions/") && path.ends_with("src/main.rs");
        assert!(
            !is_function || text.lines().count() < 25,
            "{} is long",
            path.display()
        );
    }
}

#[tokio::test]
async fn every_problem_code_is_emitted_somewhere_and_has_a_page() {
    let stack = TestStack::start().await;
    let index = stack.get("/docs/errors").send().await.text;
    let emitting: String = all_sources()
        .into_iter()
        .filter(|(path, _)| {
            !path.ends_with("errors/catalogue.rs") && !path.ends_with("local/src/openapi.rs")
        })
        .map(|(_, text)| text)
        .collect();

    for code in ProblemCode::ALL {
        let use_of_it = Regex::new(&format!(r"\b{}\b", code.variant())).unwrap();
        assert!(
            use_of_it.is_match(&emitting),
            "nothing emits {}",
            code.code()
        );
        let page = stack
            .get(&format!("/docs/errors/{}", code.code()))
            .send()
            .await;
        assert_eq!(page.status, 200, "{}", code.code());
        assert!(page.text.contains(code.code()) && page.text.contains(code.title()));
        assert!(index.contains(&format!("/docs/errors/{}", code.code())));
    }
    let linked = Regex::new(r#"href="/docs/errors/([a-z-]+)""#).unwrap();
    let pages: BTreeSet<&str> = linked
        .captures_iter(&index)
        .map(|c| c.get(1).unwrap().as_str())
        .collect();
    assert_eq!(
        pages,
        ProblemCode::ALL.iter().map(|code| code.code()).collect()
    );
}
