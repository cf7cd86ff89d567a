//! Where `/proxy` is routed, and how it is described: one operation for each method that a policy can
//! allow, which differ in nothing but that.

use axum::routing::{MethodRouter, get};
use serde_json::json;
use turnpike_shared::auth::Scope;
use turnpike_shared::limits::routes::{PROXY, PROXY_AS_ROUTED};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
    PathItemBuilder, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, OpenApiBuilder, Required, ResponseBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

use super::proxy;
use crate::App;

/// The codes that these operations alone can answer with.
const PROBLEMS: [&str; 10] = [
    "circuit-open",
    "feature-not-in-tier",
    "invalid-path",
    "method-not-allowed",
    "not-cached",
    "payload-too-large",
    "unknown-upstream",
    "upstream-failed",
    "upstream-timeout",
    "upstream-too-large",
];

const DESCRIPTION: &str = "Passes method, query string, body and the headers that the policy allows \
    through to an upstream of the policy, below its base URL, and the answer back with its own status. \
    What a path may begin with and which methods there are is the policy's; without a path the \
    base itself is asked. GET answers are cached by RFC 9111, and Cache-Status (RFC 9211) says what \
    the cache did. Whatever comes is shown under Content-Security-Policy: sandbox.";

/// The routes and their description.
pub(crate) fn described_routes() -> OpenApiRouter<App> {
    let operations = [
        (HttpMethod::Get, "proxyGet", "Read from an upstream", false),
        (HttpMethod::Post, "proxyPost", "Post to an upstream", true),
        (HttpMethod::Put, "proxyPut", "Put to an upstream", true),
        (
            HttpMethod::Patch,
            "proxyPatch",
            "Patch at an upstream",
            true,
        ),
        (
            HttpMethod::Delete,
            "proxyDelete",
            "Delete at an upstream",
            false,
        ),
    ];
    let mut item = PathItemBuilder::new();
    for (method, id, summary, takes_body) in operations {
        item = item.operation(method, operation(id, summary, takes_body));
    }
    let paths = PathsBuilder::new().path(PROXY, item.build());
    let described = OpenApiBuilder::new().paths(paths).build();
    let routes = OpenApiRouter::with_openapi(described);
    PROXY_AS_ROUTED
        .iter()
        .fold(routes, |routes, path| routes.route(path, method_router()))
}

fn method_router() -> MethodRouter<App> {
    get(proxy).post(proxy).put(proxy).patch(proxy).delete(proxy)
}

fn operation(id: &str, summary: &str, takes_body: bool) -> Operation {
    let answer = ResponseBuilder::new()
        .description("The upstream's answer, with whatever status it has")
        .content("*/*", bytes());
    let body = RequestBodyBuilder::new()
        .description(Some("Passed through as it is, up to 1 MiB."))
        .content("*/*", bytes());
    let scope = Scope::QueryRun.as_str();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(DESCRIPTION))
        .tag("Queries")
        .parameter(parameter(
            "upstream",
            "An upstream of the policy",
            "library",
        ))
        .parameter(parameter("path", "A path below it, with slashes", "books"))
        .response("200", answer)
        .security(SecurityRequirement::new("access_token", [scope]))
        .security(SecurityRequirement::new("api_key", [scope]))
        .extensions(Some(
            ExtensionsBuilder::new()
                .add("x-problems", json!(PROBLEMS))
                .build(),
        ));
    if takes_body {
        operation = operation.request_body(Some(body.build()));
    }
    operation.build()
}

fn parameter(name: &str, description: &str, example: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(Some(json!(example)))
        .build()
}

fn bytes() -> Content {
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format));
    Content::new(Some(schema))
}
