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
}

/// A route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    pub method: &'static str,
    /// Its path as a template, as the OpenAPI document has it.
    pub path: &'static str,
    pub class: &'static str,
    pub access: Access,
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
    }
}

/// All of them.
pub const ROUTES: &[Route] = {
    use Access::{Open, Scoped, Session};
    use Scope::{
        KeysRead, KeysVerify, KeysWrite, LimitsCheck, ProfileRead, ProfileWrite, UsageRead,
    };
    &[
        route("POST", "/api/v1/auth/login", "auth", Open),
        route("POST", "/api/v1/auth/logout", "default", Session),
        route("POST", "/api/v1/auth/logout-all", "default", Session),
        route("GET", "/api/v1/auth/me", "default", Scoped(ProfileRead)),
        route("PUT", "/api/v1/auth/password/change", "default", Session),
        route("POST", "/api/v1/auth/password/reset", "auth", Open),
        route("POST", "/api/v1/auth/password/reset/confirm", "auth", Open),
        route("POST", "/api/v1/auth/refresh", "token", Open),
        route("POST", "/api/v1/auth/register", "register", Open),
        route("GET", "/api/v1/auth/sessions", "default", Session),
        route("DELETE", "/api/v1/auth/sessions/{id}", "default", Session),
        route("POST", "/api/v1/auth/verify-email", "default", Session),
        route(
            "POST",
            "/api/v1/auth/verify-email/request",
            "default",
            Session,
        ),
        route("POST", "/api/v1/keys/verify", "default", Scoped(KeysVerify)),
        route(
            "POST",
            "/api/v1/limits/check",
            "default",
            Scoped(LimitsCheck),
        ),
        route("GET", "/api/v1/users/api-keys", "default", Scoped(KeysRead)),
        route(
            "POST",
            "/api/v1/users/api-keys",
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
            "DELETE",
            "/api/v1/users/api-keys/{id}",
            "default",
            Scoped(KeysWrite),
        ),
        route(
            "POST",
            "/api/v1/users/api-keys/{id}/rotate",
            "default",
            Scoped(KeysWrite),
        ),
        route(
            "GET",
            "/api/v1/users/limits/explain",
            "default",
            Scoped(UsageRead),
        ),
        route("GET", "/api/v1/users/me", "default", Scoped(ProfileRead)),
        route("PATCH", "/api/v1/users/me", "default", Scoped(ProfileWrite)),
        route("GET", "/api/v1/users/quota", "default", Scoped(UsageRead)),
    ]
};

/// The route with this method and template.
pub fn route_of(method: &str, template: &str) -> Option<&'static Route> {
    ROUTES
        .iter()
        .find(|route| route.method == method && route.path == template)
}

/// The route that a request with this method and path would take.
pub fn route_for(method: &str, path: &str) -> Option<&'static Route> {
    static TEMPLATES: LazyLock<Router<&'static str>> = LazyLock::new(|| {
        let mut templates = Router::new();
        for route in ROUTES {
            // A template with several methods is there already.
            let _ = templates.insert(route.path, route.path);
        }
        templates
    });
    let matched = TEMPLATES.at(path).ok()?;
    route_of(method, matched.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::policy::Policy;

    #[test]
    fn a_path_leads_to_its_template_and_method() {
        let cases = [
            ("GET", "/api/v1/users/me", Some("/api/v1/users/me")),
            (
                "GET",
                "/api/v1/users/api-keys/key_1",
                Some("/api/v1/users/api-keys/{id}"),
            ),
            ("POST", "/api/v1/users/api-keys/key_1", None),
            ("GET", "/api/v1/users/api-keys/key_1/x", None),
            ("GET", "/health", None),
        ];

        for (method, path, expected) in cases {
            let found = route_for(method, path).map(|route| route.path);
            assert_eq!(found, expected, "{method} {path}");
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
