//! The environment's variables: one list in the code, and everything else held against it.

use std::collections::BTreeSet;

use regex::Regex;
use turnpike_local::template::Template;
use turnpike_shared::config::VARIABLES;

use crate::support::root;

fn declared() -> BTreeSet<String> {
    VARIABLES
        .iter()
        .map(|variable| variable.name.to_owned())
        .collect()
}

#[test]
fn the_example_lists_every_variable_and_no_other() {
    let example = std::fs::read_to_string(root().join(".env.example")).unwrap();
    let assignment = Regex::new(r"(?m)^#?\s?([A-Z][A-Z0-9_]+)=").unwrap();

    let listed: Vec<String> = assignment
        .captures_iter(&example)
        .map(|c| c[1].to_owned())
        .collect();

    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), declared());
    assert_eq!(listed.len(), declared().len(), "each is listed once");
}

#[test]
fn the_template_sets_only_variables_that_the_code_reads() {
    let template = Template::embedded().unwrap();

    let unknown: Vec<&String> = template
        .variables
        .iter()
        .filter(|name| !declared().contains(*name))
        .collect();

    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_deployed_function_is_given_every_variable_that_it_cannot_start_without() {
    let template = Template::embedded().unwrap();

    for needed in [
        "TURNPIKE_ENVIRONMENT",
        "TURNPIKE_ISSUER",
        "TURNPIKE_CREDENTIALS_TABLE",
        "TURNPIKE_IDENTITY_TABLE",
        "TURNPIKE_ADMISSION_TABLE",
        "TURNPIKE_USAGE_TABLE",
        "TURNPIKE_SIGNING_KEYS_SECRET",
        "TURNPIKE_AUTH_SECRET_ARN",
        "TURNPIKE_CURSOR_SECRET_ARN",
    ] {
        assert!(
            template.variables.iter().any(|name| name == needed),
            "{needed}"
        );
    }
}
