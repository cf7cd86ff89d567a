//! The routes that are described and the prefixes that are deployed are the same.

use turnpike_local::template::Template;

fn function_of(template: &Template, path: &str) -> String {
    let matches = |route: &str| match route.strip_suffix("{proxy+}") {
        Some(prefix) => path.starts_with(prefix) && path.len() > prefix.len(),
        None => route == path,
    };
    let closest = template
        .routes
        .iter()
        .filter(|route| matches(&route.path))
        .max_by_key(|route| route.path.len());
    closest
        .map_or("SystemFunction", |route| route.function.as_str())
        .to_owned()
}

#[test]
fn the_template_sends_every_described_route_to_the_function_that_has_it() {
    let template = Template::embedded().unwrap();
    let functions = [
        ("AdminFunction", turnpike_admin::openapi()),
        ("AuthFunction", turnpike_auth::openapi()),
        ("CacheFunction", turnpike_cache::openapi()),
        ("ContentFunction", turnpike_content::openapi()),
        ("HistoryFunction", turnpike_history::openapi()),
        ("QueryFunction", turnpike_query::openapi()),
        ("SystemFunction", turnpike_system::openapi()),
        ("UsersFunction", turnpike_users::openapi()),
    ];

    for (function, described) in functions {
        for path in described.paths.paths.keys() {
            assert_eq!(function_of(&template, path), function, "{path}");
        }
    }
}

#[test]
fn every_prefix_of_the_template_has_a_route() {
    let template = Template::embedded().unwrap();
    let document = turnpike_local::openapi::document().unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();

    for route in &template.routes {
        let prefix = route.path.trim_end_matches("/{proxy+}");
        let is_used = route.path == "$default" || paths.iter().any(|path| path.starts_with(prefix));
        assert!(is_used, "{}", route.path);
    }
}

#[test]
fn every_operation_describes_its_success_and_its_failures() {
    let document = turnpike_local::openapi::document().unwrap();

    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let statuses: Vec<u16> = responses
                .keys()
                .map(|status| status.parse().unwrap())
                .collect();
            assert!(
                statuses.iter().any(|status| *status < 400),
                "{method} {path}"
            );
            if path.starts_with("/api/v1/auth") {
                assert!(
                    statuses.contains(&500) && statuses.contains(&503),
                    "{method} {path}"
                );
            }
            let Some(body) = operation.get("requestBody") else {
                continue;
            };
            let refusals = match body["content"].get("application/json") {
                Some(_) => &[400, 413, 415, 422][..],
                None => &[413],
            };
            assert!(
                refusals.iter().all(|status| statuses.contains(status)),
                "{method} {path}"
            );
        }
    }
}
