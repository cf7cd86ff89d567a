//! Who is let in where: a row for every route of every function. A route without a row fails.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use turnpike_shared::limits::routes::{self, ROUTES};

use crate::support::{Account, Answer, Call, TestStack};

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Open,
    Session,
    /// A session or a key with this scope.
    Scope(&'static str),
}

use Access::{Open, Scope, Session};

const TABLE: &[(&str, &str, Access)] = &[
    ("GET", "/", Open),
    ("GET", "/.well-known/jwks.json", Open),
    ("GET", "/.well-known/openid-configuration", Open),
    ("GET", "/.well-known/security.txt", Open),
    ("GET", "/api/v1/admin/analytics/usage", Scope("admin:read")),
    ("GET", "/api/v1/admin/audit-log", Scope("admin:read")),
    ("GET", "/api/v1/admin/audit-log/verify", Scope("admin:read")),
    ("POST", "/api/v1/admin/cache/clear", Scope("admin:write")),
    ("GET", "/api/v1/admin/cache/stats", Scope("admin:read")),
    ("GET", "/api/v1/admin/policy", Scope("admin:read")),
    ("GET", "/api/v1/admin/upstreams", Scope("admin:read")),
    (
        "POST",
        "/api/v1/admin/upstreams/{name}/reset",
        Scope("admin:write"),
    ),
    ("GET", "/api/v1/admin/users", Scope("admin:read")),
    ("GET", "/api/v1/admin/users/{id}", Scope("admin:read")),
    ("PATCH", "/api/v1/admin/users/{id}", Scope("admin:write")),
    (
        "DELETE",
        "/api/v1/admin/users/{id}/quota",
        Scope("admin:write"),
    ),
    ("GET", "/api/v1/admin/users/{id}/quota", Scope("admin:read")),
    (
        "PUT",
        "/api/v1/admin/users/{id}/quota",
        Scope("admin:write"),
    ),
    (
        "POST",
        "/api/v1/admin/users/{id}/quota/reset",
        Scope("admin:write"),
    ),
    (
        "POST",
        "/api/v1/admin/users/{id}/sessions/revoke",
        Scope("admin:write"),
    ),
    ("GET", "/api/v1/analytics/usage", Scope("usage:read")),
    ("POST", "/api/v1/auth/login", Open),
    ("POST", "/api/v1/auth/logout", Session),
    ("POST", "/api/v1/auth/logout-all", Session),
    ("GET", "/api/v1/auth/me", Scope("profile:read")),
    ("PUT", "/api/v1/auth/password/change", Session),
    ("POST", "/api/v1/auth/password/reset", Open),
    ("POST", "/api/v1/auth/password/reset/confirm", Open),
    ("POST", "/api/v1/auth/refresh", Open),
    ("POST", "/api/v1/auth/register", Open),
    ("GET", "/api/v1/auth/sessions", Session),
    ("DELETE", "/api/v1/auth/sessions/{id}", Session),
    ("POST", "/api/v1/auth/verify-email", Session),
    ("POST", "/api/v1/auth/verify-email/request", Session),
    ("GET", "/api/v1/behavior", Scope("behavior:read")),
    ("POST", "/api/v1/behavior", Scope("behavior:write")),
    ("POST", "/api/v1/cache/clear", Scope("cache:write")),
    ("POST", "/api/v1/cache/invalidate", Scope("cache:write")),
    ("GET", "/api/v1/cache/stats", Scope("cache:read")),
    (
        "DELETE",
        "/api/v1/content/{location_id}",
        Scope("content:write"),
    ),
    (
        "GET",
        "/api/v1/content/{location_id}",
        Scope("content:read"),
    ),
    (
        "PUT",
        "/api/v1/content/{location_id}",
        Scope("content:write"),
    ),
    ("GET", "/api/v1/health", Open),
    ("GET", "/api/v1/health/live", Open),
    ("GET", "/api/v1/health/ready", Open),
    ("GET", "/api/v1/history/batch-jobs", Scope("history:read")),
    ("GET", "/api/v1/history/queries", Scope("history:read")),
    (
        "DELETE",
        "/api/v1/history/queries/{id}",
        Scope("history:write"),
    ),
    ("POST", "/api/v1/keys/verify", Scope("keys:verify")),
    ("POST", "/api/v1/limits/check", Scope("limits:check")),
    ("DELETE", "/api/v1/preferences", Scope("preferences:write")),
    ("GET", "/api/v1/preferences", Scope("preferences:read")),
    ("POST", "/api/v1/preferences", Scope("preferences:write")),
    ("PUT", "/api/v1/preferences", Scope("preferences:write")),
    (
        "DELETE",
        "/api/v1/proxy/{upstream}/{path}",
        Scope("query:run"),
    ),
    ("GET", "/api/v1/proxy/{upstream}/{path}", Scope("query:run")),
    (
        "PATCH",
        "/api/v1/proxy/{upstream}/{path}",
        Scope("query:run"),
    ),
    (
        "POST",
        "/api/v1/proxy/{upstream}/{path}",
        Scope("query:run"),
    ),
    ("PUT", "/api/v1/proxy/{upstream}/{path}", Scope("query:run")),
    ("POST", "/api/v1/query", Scope("query:run")),
    ("GET", "/api/v1/users/api-keys", Scope("keys:read")),
    ("POST", "/api/v1/users/api-keys", Scope("keys:write")),
    ("DELETE", "/api/v1/users/api-keys/{id}", Scope("keys:write")),
    ("GET", "/api/v1/users/api-keys/{id}", Scope("keys:read")),
    ("PATCH", "/api/v1/users/api-keys/{id}", Scope("keys:write")),
    (
        "POST",
        "/api/v1/users/api-keys/{id}/rotate",
        Scope("keys:write"),
    ),
    ("GET", "/api/v1/users/limits/explain", Scope("usage:read")),
    ("GET", "/api/v1/users/me", Scope("profile:read")),
    ("PATCH", "/api/v1/users/me", Scope("profile:write")),
    ("GET", "/api/v1/users/quota", Scope("usage:read")),
    ("GET", "/api/v1/users/usage", Scope("usage:read")),
    ("GET", "/docs", Open),
    ("GET", "/docs/errors", Open),
    ("GET", "/docs/errors/{code}", Open),
    ("GET", "/health", Open),
    ("GET", "/health/live", Open),
    ("GET", "/health/ready", Open),
    ("GET", "/openapi.json", Open),
];

/// The scopes that no plain user has.
const OF_ADMINS: [&str; 5] = [
    "admin:read",
    "admin:write",
    "content:write",
    "keys:verify",
    "limits:check",
];

fn described_routes() -> BTreeSet<(String, String)> {
    let document = turnpike_local::openapi::document().unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let methods_of = |(path, methods): (String, Value)| {
        let methods: Vec<String> = methods.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase(), path.clone()))
    };
    paths.into_iter().flat_map(methods_of).collect()
}

/// A call of a route with ids that do not exist and a body that is no JSON: whoever is refused is
/// refused before either is looked at.
fn call(stack: &TestStack, method: &str, path: &str) -> Call {
    let path = path
        .replace("{id}", "ses_x")
        .replace("{location_id}", "place")
        .replace("{upstream}", "library")
        .replace("{code}", "not-found");
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    stack.call(method, &path).raw_json("{")
}

/// A new key of a user, with the scopes that are given.
async fn key_of(stack: &TestStack, owner: &Account, scopes: &Value) -> String {
    let body = json!({"name": "test", "scopes": scopes});
    let made = stack
        .post("/api/v1/users/api-keys")
        .bearer(&owner.access_token);
    let made = made.json(&body).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["key"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let rows: BTreeSet<(String, String)> = TABLE
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();

    assert_eq!(rows, described_routes());
}

#[test]
fn the_table_of_routes_has_every_versioned_route_with_the_same_rule() {
    let is_limited = |(_, path, _): &&(&str, &str, Access)| {
        path.starts_with("/api/v1/") && !path.starts_with("/api/v1/health")
    };
    let rows: Vec<String> = TABLE
        .iter()
        .filter(is_limited)
        .map(|row| format!("{row:?}"))
        .collect();

    let mut routed: Vec<String> = ROUTES
        .iter()
        .map(|route| {
            let access = match route.access {
                routes::Access::Open => Open,
                routes::Access::Session => Session,
                routes::Access::Scoped(scope)
                | routes::Access::Uncounted(scope)
                | routes::Access::ByHandler(scope) => Scope(scope.as_str()),
            };
            format!("{:?}", (route.method, route.path, access))
        })
        .collect();
    let mut rows = rows;
    rows.sort();
    routed.sort();
    assert_eq!(routed, rows);
}

#[test]
fn the_description_says_of_each_route_which_credential_it_needs() {
    let document = turnpike_local::openapi::document().unwrap();

    for (method, path, access) in TABLE {
        let operation = &document["paths"][path][method.to_lowercase()];
        let expected = match access {
            Open => json!([{}]),
            Session => json!([{"access_token": []}]),
            Scope(scope) => json!([{"access_token": [scope]}, {"api_key": [scope]}]),
        };
        let is_health = path.ends_with("/health");
        assert!(
            is_health || operation["security"] == expected,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_route_that_needs_a_credential_refuses_everybody_else_before_it_looks_at_the_body() {
    let stack = TestStack::start().await;
    let ended = stack.register("ended@example.com").await;
    let ended_key = key_of(&stack, &ended, &json!([])).await;
    let id = stack
        .get("/api/v1/users/api-keys")
        .bearer(&ended.access_token);
    let id = id.send().await.body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let revoked = stack.delete(&format!("/api/v1/users/api-keys/{id}"));
    assert_eq!(revoked.bearer(&ended.access_token).send().await.status, 204);
    let logout = stack
        .post("/api/v1/auth/logout")
        .bearer(&ended.access_token);
    assert_eq!(logout.send().await.status, 204);
    let inactive = stack.register("inactive@example.com").await;
    let inactive_key = key_of(&stack, &inactive, &json!([])).await;
    stack.deactivate(&inactive.id).await;
    let unknown_key = "tp_test_0123456789ABCDEFGHIJKLMNOPQRSTUV1ggZdL";

    for (method, path, access) in TABLE {
        let refusals = [
            call(&stack, method, path),
            call(&stack, method, path).bearer("junk"),
            call(&stack, method, path).bearer(&ended.access_token),
            call(&stack, method, path).bearer(&inactive.access_token),
            call(&stack, method, path).header("x-api-key", "tp_test_junk"),
            call(&stack, method, path).header("x-api-key", unknown_key),
            call(&stack, method, path).header("x-api-key", &ended_key),
            call(&stack, method, path).bearer(&inactive_key),
        ];
        for refused in refusals {
            let answer = refused.send().await;
            match access {
                Open => assert_ne!(answer.status, 401, "{method} {path}"),
                Session | Scope(_) => answer.assert_problem(401, "unauthenticated"),
            }
        }
    }
}

#[tokio::test]
async fn a_credential_without_the_scope_is_refused_before_the_body_is_looked_at() {
    let stack = TestStack::start().await;
    let user = stack.register("ada@example.com").await;
    let without = key_of(&stack, &user, &json!([])).await;
    let refused = |answer: Answer, code: &str, what: &str| {
        assert_eq!((answer.status, answer.code()), (403, code), "{what}");
    };

    for (method, path, access) in TABLE {
        let what = format!("{method} {path}");
        let by_key = call(&stack, method, path).header("x-api-key", &without);
        match access {
            Open => {}
            Session => refused(by_key.send().await, "session-required", &what),
            Scope(scope) => {
                refused(by_key.send().await, "missing-scope", &what);
                if OF_ADMINS.contains(scope) {
                    let by_user = call(&stack, method, path).bearer(&user.access_token);
                    refused(by_user.send().await, "missing-scope", &what);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_with_the_one_scope_that_a_route_wants_gets_past_the_door() {
    let stack = TestStack::start().await;
    let user = stack.register("ada@example.com").await;

    for (method, path, access) in TABLE {
        let Scope(scope) = access else { continue };
        if OF_ADMINS.contains(scope) {
            continue;
        }
        let key = key_of(&stack, &user, &json!([scope])).await;

        let answer = call(&stack, method, path)
            .header("x-api-key", &key)
            .send()
            .await;

        assert!(
            !matches!(answer.status, 401 | 403),
            "{method} {path}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn the_routes_that_are_described_are_routed() {
    let stack = TestStack::start().await;

    for (method, path, _) in TABLE {
        let answer = call(&stack, method, path).send().await;
        assert!(
            !matches!(answer.status, 404 | 405),
            "{method} {path}: {}",
            answer.status
        );
    }
}
