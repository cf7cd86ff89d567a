//! The OpenAPI document of all functions together, as `functions/system/openapi.json` holds it.
//!
//! Each handler describes its own answers and names the problems that it alone can answer with.
//! What every route of a kind can answer with is added here, from the catalogue of problems, so
//! that the document lists every response without each handler repeating it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use turnpike_shared::VERSION;
use turnpike_shared::errors::{FieldError, ProblemCode};
use turnpike_shared::limits::routes::{Access, route_of};
use turnpike_shared::web::{ProblemBody, ValidationProblemBody};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    ServerBuilder,
};

/// The operation's own problems, by code.
const PROBLEMS: &str = "x-problems";

/// The document cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum OpenApiError {
    #[error("the document cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{operation} names the problem {code:?}, which is not in the catalogue")]
    UnknownProblem { operation: String, code: String },
}

/// The document, from the code of every function.
pub fn document() -> Result<Value, OpenApiError> {
    let mut document = base();
    document.merge(turnpike_auth::openapi());
    document.merge(turnpike_users::openapi());
    document.merge(turnpike_admin::openapi());
    document.merge(turnpike_query::openapi());
    document.merge(turnpike_history::openapi());
    document.merge(turnpike_cache::openapi());
    document.merge(turnpike_content::openapi());
    document.merge(turnpike_system::openapi());
    let mut document = serde_json::to_value(document)?;
    describe_tags(&mut document);
    refer_to_named_items(&mut document["components"]["schemas"]);
    for (path, methods) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let route = route_of(&method.to_uppercase(), path);
            let takes_key = route.is_some_and(|route| route.takes_idempotency_key);
            describe_problems(operation, route.map(|route| route.access), takes_key)?;
            if takes_key {
                describe_idempotency(operation);
            }
        }
    }
    Ok(document)
}

fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Turnpike")
        .version(VERSION)
        .description(Some(
            "The access layer of an API product: accounts, sign-in and sessions.\n\n\
             Errors are problem documents (RFC 9457); each code has a page under `/docs/errors/`. \
             Every answer carries `X-Request-Id`.",
        ))
        .contact(Some(
            ContactBuilder::new()
                .name(Some(
                    "The operator of this stage, by /.well-known/security.txt",
                ))
                .build(),
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The access token of a signed-in session (RFC 9068)."))
        .build();
    let api_key = ApiKeyValue::with_description(
        "X-API-Key",
        "An API key. It may also be sent as Authorization: Bearer.",
    );
    let components = ComponentsBuilder::new()
        .schema_from::<ProblemBody>()
        .schema_from::<ValidationProblemBody>()
        .schema_from::<FieldError>()
        .security_scheme("access_token", SecurityScheme::Http(bearer))
        .security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(api_key)))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new()
            .url("/")
            .description(Some("This stage"))
            .build()]))
        .components(Some(components))
        .build()
}

/// The groups of operations, each function's own and those that only this document knows.
fn describe_tags(document: &mut Value) {
    let described = document["tags"].as_array().cloned().unwrap_or_default();
    let mut tags = vec![
        json!({"name": "Accounts", "description": "Registration, sign-in, sessions and passwords."}),
        json!({"name": "API keys", "description": "Keys for programs, and whether one is good."}),
        json!({"name": "Limits", "description": "What may be done how often, and what is left."}),
        json!({"name": "Queries", "description": "What is asked of upstreams, through the cache."}),
        json!({"name": "Cache", "description": "What is kept of answers, and how it is ended."}),
        json!({"name": "Administration", "description": "What admins change of others, and what support may see."}),
        json!({"name": "Usage", "description": "What was asked for, and how it was answered."}),
        json!({"name": "Content", "description": "What is kept for a product: preferences and behaviour of its users, and content."}),
        json!({"name": "History", "description": "What was asked of upstreams, and the jobs that were submitted."}),
        json!({"name": "Discovery", "description": "What other programs look for (RFC 8615)."}),
    ];
    tags.extend(described);
    document["tags"] = tags.into();
}

/// A page of a list is generic, and its items stand in it in full; a reference to their own schema
/// says what they are.
fn refer_to_named_items(schemas: &mut Value) {
    let named = schemas.clone();
    for (page, schema) in schemas.as_object_mut().into_iter().flatten() {
        if let Some(name) = page.strip_prefix("Page_")
            && schema["properties"]["items"]["items"] == named[name]
        {
            let reference = json!({"$ref": format!("#/components/schemas/{name}")});
            schema["properties"]["items"]["items"] = reference;
        }
    }
}

/// Adds a response for every status that the operation can refuse or fail with.
fn describe_problems(
    operation: &mut Value,
    access: Option<Access>,
    takes_key: bool,
) -> Result<(), OpenApiError> {
    let mut codes = general_problems(operation, access);
    if takes_key {
        codes.insert(ProblemCode::IdempotencyInProgress.code());
        codes.insert(ProblemCode::IdempotencyKeyReused.code());
    }
    for code in operation[PROBLEMS].as_array().cloned().unwrap_or_default() {
        let code = code.as_str().unwrap_or_default();
        let known = ProblemCode::ALL.iter().find(|known| known.code() == code);
        let Some(known) = known else {
            let operation = operation["operationId"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            return Err(OpenApiError::UnknownProblem {
                operation,
                code: code.to_owned(),
            });
        };
        codes.insert(known.code());
    }
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in ProblemCode::ALL
        .iter()
        .filter(|code| codes.contains(code.code()))
    {
        by_status.entry(code.status()).or_default().push(*code);
    }
    operation[PROBLEMS] = by_status
        .values()
        .flatten()
        .map(|code| code.code())
        .collect();
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = problem_response(status, &codes);
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        for response in responses.values_mut() {
            add_common_headers(response, access.is_some());
        }
    }
    Ok(())
}

/// The codes that follow from what the operation reads and demands.
fn general_problems(operation: &Value, access: Option<Access>) -> BTreeSet<&'static str> {
    let mut codes: Vec<ProblemCode> = Vec::new();
    if let Some(access) = access {
        codes.extend([
            ProblemCode::QuotaExceeded,
            ProblemCode::Throttled,
            ProblemCode::InternalError,
            ProblemCode::ServiceUnavailable,
        ]);
        if access != Access::Open {
            codes.extend([
                ProblemCode::AmbiguousCredentials,
                ProblemCode::Unauthenticated,
                ProblemCode::AuthUnavailable,
            ]);
        }
        match access {
            Access::Open => {}
            Access::Session => codes.push(ProblemCode::SessionRequired),
            Access::Scoped(_) | Access::Uncounted(_) | Access::ByHandler(_) => codes.extend([
                ProblemCode::MissingScope,
                ProblemCode::EmailNotVerified,
                ProblemCode::IpNotAllowed,
            ]),
        }
    }
    let body = &operation["requestBody"]["content"];
    if body.is_object() {
        codes.push(ProblemCode::PayloadTooLarge);
    }
    // What else is passed through is not read.
    if body.get("application/json").is_some() {
        codes.extend([
            ProblemCode::MalformedJson,
            ProblemCode::UnsupportedMediaType,
            ProblemCode::ValidationFailed,
        ]);
    }
    codes.into_iter().map(ProblemCode::code).collect()
}

/// Adds the header that makes a request one that may be repeated, and what its answers say of it.
fn describe_idempotency(operation: &mut Value) {
    let parameter = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A string of your own, new for every new request. Sent again within 24 hours \
            with the same body, the request is not done again and gets the first answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    });
    let mut parameters = operation["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    parameters.push(parameter);
    operation["parameters"] = parameters.into();
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if status.starts_with('2') {
            response["headers"]["Idempotency-Replayed"] = json!({
                "description": "true: the request was done before, and this is its answer.",
                "schema": {"type": "boolean"},
            });
        }
        if status == "409" {
            response["headers"]["Retry-After"] = json!({
                "description": "Seconds after which to ask again, while the request still runs.",
                "schema": {"type": "string"},
            });
        }
    }
}

fn problem_response(status: u16, codes: &[ProblemCode]) -> Value {
    let described: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.code(), code.title()))
        .collect();
    let schema = if status == 422 {
        "ValidationProblem"
    } else {
        "Problem"
    };
    json!({
        "description": described.join(" "),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": format!("#/components/schemas/{schema}")},
            },
        },
        "headers": headers_of(status),
    })
}

fn headers_of(status: u16) -> Map<String, Value> {
    let mut headers = Map::new();
    let mut add = |name: &str, description: &str| {
        let header = json!({"description": description, "schema": {"type": "string"}});
        headers.insert(name.to_owned(), header);
    };
    match status {
        401 => add(
            "WWW-Authenticate",
            "The scheme to authenticate with: Bearer.",
        ),
        429 => add(
            "Retry-After",
            "Seconds after which the request is admitted, if nothing else is sent. Absent where it never is.",
        ),
        503 => add("Retry-After", "Seconds after which to try again."),
        _ => {}
    }
    headers
}

/// What the answers of a limited route say of its limits.
const LIMIT_HEADERS: [(&str, &str, &str); 6] = [
    (
        "RateLimit-Policy",
        "string",
        "The limits that applied (draft-ietf-httpapi-ratelimit-headers-11).",
    ),
    (
        "RateLimit",
        "string",
        "What is left of each, and in how many seconds it is whole again.",
    ),
    (
        "X-RateLimit-Limit",
        "integer",
        "The limit of which the smallest share is left.",
    ),
    ("X-RateLimit-Remaining", "integer", "What is left of it."),
    (
        "X-RateLimit-Reset",
        "integer",
        "When it is whole again, in seconds since the Unix epoch.",
    ),
    (
        "Turnpike-Degraded",
        "string",
        "What is away while this was answered: valkey, dynamodb, revocation. Absent as a rule.",
    ),
];

fn add_common_headers(response: &mut Value, is_limited: bool) {
    if is_limited {
        for (name, kind, description) in LIMIT_HEADERS {
            response["headers"][name] =
                json!({"description": description, "schema": {"type": kind}});
        }
    }
    response["headers"]["X-Request-Id"] = json!({
        "description": "The request's id: the caller's own, or a new one.",
        "schema": {"type": "string"},
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let committed: Value =
            serde_json::from_str(include_str!("../../../functions/system/openapi.json")).unwrap();

        assert!(
            document().unwrap() == committed,
            "functions/system/openapi.json is not what the code says; run `make openapi`",
        );
    }
}
