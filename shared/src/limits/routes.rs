//! Every route of the versioned API: the class of its limits, and who may call it.
//!
//! One table for all functions, so that a route cannot exist without a class and a rule, and any
//! function can tell what another would ask for. The paths at the root are in it nowhere: they are
//! never limited.

use std::sync::LazyLock;

use matchit::Router;

use crate::auth::Scope;

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Everybody; the address is limited.
    Open,
    /// A signed-in session; no key.
    Session,
    /// A session or a key that has this scope.
    Scoped(Scope),
    /// As `Scoped`, and nothing is counted: who asks how limits stand uses up none.
    Uncounted(Scope),
    /// As `Scoped`, but class and cost stand in the request: its handler lets it in. The route's
    /// class is the one of a request that names nothing with another.
    ByHandler(Scope),
}

/// A route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    pub method: &'static str,
    /// Its path as a template, as the OpenAPI document has it.
    pub path: &'static str,
    pub class: &'static str,
    pub access: Access,
    /// Whether it takes an `Idempotency-Key`. Its handler then has to keep its answer.
    pub takes_idempotency_key: bool,
}

impl Route {
    const fn with_idempotency_key(self) -> Self {
        Self {
            takes_idempotency_key: true,
            ..self
        }
    }
}

const fn route(
    method: &'static str,
    path: &'static str,
    class: &'static str,
    access: Access,
) -> Route {
    Route {
        method,
        path,
        class,
        access,
        takes_idempotency_key: false,
    }
}

/// All of them.
pub const ROUTES: &[Route] = {
    use Access::{ByHandler, Open, Scoped, Session, Uncounted};
    use Scope::{
        AdminRead, AdminWrite, BehaviorRead, BehaviorWrite, CacheRead, CacheWrite, ContentRead,
        ContentWrite, HistoryRead, HistoryWrite, KeysRead, KeysVerify, KeysWrite, LimitsCheck,
        PreferencesRead, PreferencesWrite, ProfileRead, ProfileWrite, QueryRun, UsageRead,
    };
    &[
        route(
            "GET",
            "/api/v1/admin/analytics/usage",
            "admin",
            Scoped(AdminRead),
        ),
        route("GET", "/api/v1/admin/audit-log", "admin", Scoped(AdminRead)),
        route(
            "GET",
            "/api/v1/admin/audit-log/verify",
            "admin",
            Scoped(AdminRead),
        ),
        route(
            "POST",
            "/api/v1/admin/cache/clear",
            "admin",
            Scoped(AdminWrite),
        ),
        route(
            "GET",
            "/api/v1/admin/cache/stats",
            "admin",
            Scoped(AdminRead),
        ),
        route("GET", "/api/v1/admin/policy", "admin", Scoped(AdminRead)),
        route("GET", "/api/v1/admin/upstreams", "admin", Scoped(AdminRead)),
        route(
            "POST",
            "/api/v1/admin/upstreams/{name}/reset",
            "admin",
            Scoped(AdminWrite),
        ),
        route("GET", "/api/v1/admin/users", "admin", Scoped(AdminRead)),
        route(
            "GET",
            "/api/v1/admin/users/{id}",
            "admin",
            Scoped(AdminRead),
        ),
        route(
            "PATCH",
            "/api/v1/admin/users/{id}",
            "admin",
            Scoped(AdminWrite),
        ),
        route(
            "DELETE",
            "/api/v1/admin/users/{id}/quota",
            "admin",
            Scoped(AdminWrite),
        ),
        route(
            "GET",
            "/api/v1/admin/users/{id}/quota",
            "admin",
            Scoped(AdminRead),
        ),
        route(
            "PUT",
            "/api/v1/admin/users/{id}/quota",
            "admin",
            Scoped(AdminWrite),
        ),
        route(
            "POST",
            "/api/v1/admin/users/{id}/quota/reset",
            "admin",
            Scoped(AdminWrite),
        ),
        route(
            "POST",
            "/api/v1/admin/users/{id}/sessions/revoke",
            "admin",
            Scoped(AdminWrite),
        ),
        route(
            "GET",
            "/api/v1/analytics/usage",
            "default",
            Scoped(UsageRead),
        ),
        route("POST", "/api/v1/auth/login", "auth", Open),
        route("POST", "/api/v1/auth/logout", "default", Session),
        route("POST", "/api/v1/auth/logout-all", "default", Session),
        route("GET", "/api/v1/auth/me", "default", Scoped(ProfileRead)),
        route("PUT", "/api/v1/auth/password/change", "default", Session),
        route("POST", "/api/v1/auth/password/reset", "auth", Open),
        route("POST", "/api/v1/auth/password/reset/confirm", "auth", Open),
        route("POST", "/api/v1/auth/refresh", "token", Open),
        route("POST", "/api/v1/auth/register", "register", Open).with_idempotency_key(),
        route("GET", "/api/v1/auth/sessions", "default", Session),
        route("DELETE", "/api/v1/auth/sessions/{id}", "default", Session),
        route("POST", "/api/v1/auth/verify-email", "default", Session),
        route(
            "POST",
            "/api/v1/auth/verify-email/request",
            "default",
            Session,
        ),
        route("GET", "/api/v1/behavior", "default", Scoped(BehaviorRead)),
        route("POST", "/api/v1/behavior", "upload", Scoped(BehaviorWrite)).with_idempotency_key(),
        route(
            "POST",
            "/api/v1/cache/clear",
            "dataset_ops",
            Scoped(CacheWrite),
        ),
        route(
            "POST",
            "/api/v1/cache/invalidate",
            "dataset_ops",
            Scoped(CacheWrite),
        ),
        route(
            "GET",
            "/api/v1/cache/stats",
            "dataset_ops",
            Scoped(CacheRead),
        ),
        route(
            "DELETE",
            "/api/v1/content/{location_id}",
            "default",
            Scoped(ContentWrite),
        ),
        route(
            "GET",
            "/api/v1/content/{location_id}",
            "dataset_ops",
            Scoped(ContentRead),
        ),
        route(
            "PUT",
            "/api/v1/content/{location_id}",
            "upload",
            Scoped(ContentWrite),
        ),
        route(
            "GET",
            "/api/v1/history/batch-jobs",
            "dataset_ops",
            Scoped(HistoryRead),
        ),
        route(
            "GET",
            "/api/v1/history/queries",
            "dataset_ops",
            Scoped(HistoryRead),
        ),
        route(
            "DELETE",
            "/api/v1/history/queries/{id}",
            "dataset_ops",
            Scoped(HistoryWrite),
        ),
        route("POST", "/api/v1/keys/verify", "default", Scoped(KeysVerify)),
        route(
            "POST",
            "/api/v1/limits/check",
            "default",
            Scoped(LimitsCheck),
        ),
        route(
            "DELETE",
            "/api/v1/preferences",
            "default",
            Scoped(PreferencesWrite),
        ),
        route(
            "GET",
            "/api/v1/preferences",
            "default",
            Scoped(PreferencesRead),
        ),
        route(
            "POST",
            "/api/v1/preferences",
            "default",
            Scoped(PreferencesWrite),
        )
        .with_idempotency_key(),
        route(
            "PUT",
            "/api/v1/preferences",
            "default",
            Scoped(PreferencesWrite),
        ),
        route("DELETE", PROXY, "query", ByHandler(QueryRun)),
        route("GET", PROXY, "query", ByHandler(QueryRun)),
        route("PATCH", PROXY, "query", ByHandler(QueryRun)),
        route("POST", PROXY, "query", ByHandler(QueryRun)),
        route("PUT", PROXY, "query", ByHandler(QueryRun)),
        route("POST", "/api/v1/query", "query", ByHandler(QueryRun)),
        route("GET", "/api/v1/users/api-keys", "default", Scoped(KeysRead)),
        route(
            "POST",
            "/api/v1/users/api-keys",
            "default",
            Scoped(KeysWrite),
        )
        .with_idempotency_key(),
        route(
            "DELETE",
            "/api/v1/users/api-keys/{id}",
            "default",
            Scoped(KeysWrite),
        ),
        route(
            "GET",
            "/api/v1/users/api-keys/{id}",
            "default",
            Scoped(KeysRead),
        ),
        route(
            "PATCH",
            "/api/v1/users/api-keys/{id}",
            "default",
            Scoped(KeysWrite),
        ),
        route(
            "POST",
            "/api/v1/users/api-keys/{id}/rotate",
            "default",
            Scoped(KeysWrite),
        )
        .with_idempotency_key(),
        route(
            "GET",
            "/api/v1/users/limits/explain",
            "default",
            Uncounted(UsageRead),
        ),
        route("GET", "/api/v1/users/me", "default", Scoped(ProfileRead)),
        route("PATCH", "/api/v1/users/me", "default", Scoped(ProfileWrite)),
        route("GET", "/api/v1/users/quota", "default", Scoped(UsageRead)),
        route("GET", "/api/v1/users/usage", "default", Scoped(UsageRead)),
    ]
};

/// The template of `/proxy`, whose last parameter takes the rest of a path, with its slashes, and may
/// be empty. This is how it is described and recorded; [`PROXY_AS_ROUTED`] is how it is routed.
pub const PROXY: &str = "/api/v1/proxy/{upstream}/{path}";

/// What a router needs to send all of [`PROXY`] to one place.
pub const PROXY_AS_ROUTED: [&str; 3] = [
    "/api/v1/proxy/{upstream}",
    "/api/v1/proxy/{upstream}/",
    "/api/v1/proxy/{upstream}/{*path}",
];

/// The upstream that a path of [`PROXY`] names, as it is written there.
pub fn proxied_upstream(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/v1/proxy/")?;
    rest.split('/').next()
}

/// The template that a path is described by, for the one that it is routed by.
pub fn described(routed: &str) -> &str {
    if PROXY_AS_ROUTED.contains(&routed) {
        PROXY
    } else {
        routed
    }
}

/// The paths at the root, which are limited nowhere and open to everybody; all are read.
const AT_THE_ROOT: &[&str] = &[
    "/",
    "/.well-known/{document}",
    "/api/v1/health",
    "/api/v1/health/live",
    "/api/v1/health/ready",
    "/docs",
    "/docs/errors",
    "/docs/errors/{code}",
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
];

/// The route with this method and template, as described or as routed. What answers to GET answers to HEAD (RFC 9110, section
/// 9.3.2), under the same rule.
pub fn route_of(method: &str, template: &str) -> Option<&'static Route> {
    let method = if method == "HEAD" { "GET" } else { method };
    let path = described(template);
    ROUTES
        .iter()
        .find(|route| route.method == method && route.path == path)
}

/// What a request would meet, by its method and path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Route(&'static Route),
    /// A path at the root, where nothing is limited.
    Unlimited,
    NoSuchMethod,
    NoSuchPath,
}

/// What a request with this method and path would meet.
pub fn find(method: &str, path: &str) -> Found {
    static TEMPLATES: LazyLock<Router<&'static str>> = LazyLock::new(|| {
        let mut templates = Router::new();
        let limited = ROUTES.iter().map(|route| route.path);
        let plain = limited.filter(|path| *path != PROXY);
        let all = plain.chain(PROXY_AS_ROUTED);
        for path in all.chain(AT_THE_ROOT.iter().copied()) {
            // A template with several methods is there already.
            let _ = templates.insert(path, path);
        }
        templates
    });
    let Ok(matched) = TEMPLATES.at(path) else {
        return Found::NoSuchPath;
    };
    let is_read = ["GET", "HEAD"].contains(&method);
    match route_of(method, matched.value) {
        Some(route) => Found::Route(route),
        None if AT_THE_ROOT.contains(matched.value) && is_read => Found::Unlimited,
        None => Found::NoSuchMethod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::policy::Policy;

    #[test]
    fn a_method_and_a_path_lead_to_their_route_or_to_what_is_wrong_with_them() {
        let of = |method, path| Found::Route(route_of(method, path).unwrap());
        let key = "/api/v1/users/api-keys/{id}";
        let proxy = "/api/v1/proxy/{upstream}/{path}";
        let cases = [
            ("GET", "/api/v1/users/me", of("GET", "/api/v1/users/me")),
            ("HEAD", "/api/v1/users/me", of("GET", "/api/v1/users/me")),
            ("GET", "/api/v1/users/api-keys/key_1", of("GET", key)),
            ("DELETE", "/api/v1/users/api-keys/key_1", of("DELETE", key)),
            ("POST", "/api/v1/users/api-keys/key_1", Found::NoSuchMethod),
            ("get", "/api/v1/users/me", Found::NoSuchMethod),
            ("HEAD", "/api/v1/auth/login", Found::NoSuchMethod),
            ("GET", "/api/v1/users/api-keys/key_1/x", Found::NoSuchPath),
            ("GET", "/api/v1/users/me/", Found::NoSuchPath),
            ("GET", "", Found::NoSuchPath),
            ("GET", "/health", Found::Unlimited),
            ("HEAD", "/.well-known/jwks.json", Found::Unlimited),
            ("GET", "/docs/errors/not-found", Found::Unlimited),
            ("POST", "/health", Found::NoSuchMethod),
            ("GET", "/api/v1/proxy/library", of("GET", proxy)),
            ("HEAD", "/api/v1/proxy/library/", of("GET", proxy)),
            ("PUT", "/api/v1/proxy/library/a/b//c", of("PUT", proxy)),
            ("OPTIONS", "/api/v1/proxy/library/a", Found::NoSuchMethod),
            ("GET", "/api/v1/proxy", Found::NoSuchPath),
        ];

        for (method, path, expected) in cases {
            assert_eq!(find(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_class_of_a_route_is_one_of_the_policys_own() {
        let policy = Policy::built_in();

        for route in ROUTES {
            let is_known = policy.classes().any(|(name, _)| name == route.class);
            assert!(is_known, "{route:?}");
        }
    }

    #[test]
    fn open_routes_alone_are_in_the_classes_of_addresses() {
        for route in ROUTES {
            let is_of_addresses = ["auth", "token", "register"].contains(&route.class);
            assert_eq!(is_of_addresses, route.access == Access::Open, "{route:?}");
        }
    }
}
