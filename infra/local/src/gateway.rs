//! What API Gateway does for the deployed functions: chooses one by the template's prefixes and
//! says where the request came from. As Lambda does, it tells how long the function may take.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use tower::ServiceExt as _;
use turnpike_shared::web::{Deadline, PeerIp};

use crate::local_routes;
use crate::template::Route;

/// The functions, by the template's routes.
pub(crate) struct Gateway {
    routes: Vec<Route>,
    functions: HashMap<String, Router>,
    /// Takes what only the local stack has, where there is one.
    local: Option<Router>,
}

impl Gateway {
    /// `functions` by their logical ids; every route's function must be among them.
    pub(crate) fn new(
        routes: Vec<Route>,
        functions: HashMap<String, Router>,
        local: Option<Router>,
    ) -> Result<Self, String> {
        match routes
            .iter()
            .find(|route| !functions.contains_key(&route.function))
        {
            Some(route) => Err(format!(
                "{} is in the template but not in the stack",
                route.function
            )),
            None => Ok(Self {
                routes,
                functions,
                local,
            }),
        }
    }

    /// One router in front of all functions.
    pub(crate) fn into_router(self) -> Router {
        let gateway = Arc::new(self);
        Router::new().fallback(
            move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
                let gateway = Arc::clone(&gateway);
                async move { gateway.serve(peer, request).await }
            },
        )
    }

    async fn serve(&self, peer: SocketAddr, mut request: Request) -> Response {
        request.extensions_mut().insert(PeerIp(peer.ip()));
        let (function, timeout) = self.function_for(request.uri().path());
        if let Some(timeout) = timeout {
            Deadline::of_invocation(timeout).note(&mut request);
        }
        match function.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The function for a path, and how long it may take, if that is bounded.
    fn function_for(&self, path: &str) -> (&Router, Option<Duration>) {
        if let (Some(local), true) = (&self.local, local_routes::has(path)) {
            return (local, None);
        }
        let chosen = self
            .routes
            .iter()
            .filter(|route| matches(&route.path, path))
            .max_by_key(|route| (route.path != "$default", route.path.len()));
        #[expect(
            clippy::expect_used,
            reason = "the template has a $default route, and a test that says so"
        )]
        let route = chosen.expect("$default matches every path");
        (&self.functions[&route.function], Some(route.timeout))
    }
}

fn matches(route: &str, path: &str) -> bool {
    match route.strip_suffix("{proxy+}") {
        Some(prefix) => path
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty()),
        None => route == "$default" || route == path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_to_the_function_with_the_closest_route() {
        let cases = [
            ("/api/v1/auth", "/api/v1/auth", true),
            ("/api/v1/auth/{proxy+}", "/api/v1/auth/login", true),
            ("/api/v1/auth/{proxy+}", "/api/v1/auth/password/reset", true),
            ("/api/v1/auth/{proxy+}", "/api/v1/auth/", false),
            ("/api/v1/auth/{proxy+}", "/api/v1/authentic", false),
            ("/api/v1/auth", "/api/v1/authentic", false),
            ("$default", "/anything", true),
        ];

        for (route, path, expected) in cases {
            assert_eq!(matches(route, path), expected, "{path} at {route}");
        }
    }

    #[tokio::test]
    async fn a_function_is_told_of_the_time_that_the_template_gives_it() {
        let told = |deadline: Deadline| async move { deadline.remaining().as_secs().to_string() };
        let route = Route {
            function: "SlowFunction".into(),
            path: "$default".into(),
            timeout: Duration::from_millis(27_500),
        };
        let router = Router::new().fallback(told);
        let functions = HashMap::from([("SlowFunction".to_owned(), router)]);
        let gateway = Gateway::new(vec![route], functions, None).unwrap();

        let peer = ([127, 0, 0, 1], 1).into();
        let answer = gateway.serve(peer, Request::default()).await;

        let body = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
        // Two seconds are for the answer, and some have passed.
        assert_eq!(body, "25");
    }
}
