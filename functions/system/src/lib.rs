//! The function `system`: what the service is, how it is, and how it is used.
//!
//! It owns the paths at the root (`/`, `/health*`, `/docs*`, `/openapi.json`) and, because API
//! Gateway's `$default` leads to it, the 404 of every path that belongs to no other function. It
//! changes nothing, knows no users, admits nobody, and asks DynamoDB and Valkey one question:
//! whether they answer.

mod docs;
mod health;
mod index;
mod openapi;
mod public_document;

use std::sync::Arc;

use axum::Router;
use secrecy::SecretString;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::{self, ConfigError, Environment, MailTransport, StageConfig};
use turnpike_shared::stores::{DynamoDb, Probe};
use turnpike_shared::web::{FunctionContext, with_conventions};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::docs::ReferencePage;
use crate::health::{LastProbe, Valkey};

/// Who is shown the details of `/health`.
#[derive(Clone, Debug)]
pub enum DetailsAccess {
    /// Everybody who can reach the address; for the local stack.
    Everybody,
    /// Whoever sends this token as `Authorization: Bearer`.
    Token(SecretString),
    Nobody,
}

/// What the function is made of that the environment alone does not give.
pub struct Parts {
    pub dynamodb: DynamoDb,
    pub details: DetailsAccess,
    pub clock: Clock,
}

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    stage: Arc<StageConfig>,
    clock: Clock,
    started_at: Timestamp,
    mail: MailTransport,
    details: Arc<DetailsAccess>,
    dynamodb: Arc<LastProbe<Probe>>,
    /// `None` where the stage has none.
    valkey: Option<Arc<LastProbe<Valkey>>>,
    reference: Arc<ReferencePage>,
}

impl App {
    /// The app as Lambda's environment describes it.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let dynamodb = DynamoDb::from_environment(env)?;
        Probe::new(&dynamodb, config::identity_table(env)?).warm_up();
        let parts = Parts {
            dynamodb,
            details: match config::metrics_token(env) {
                Some(token) => DetailsAccess::Token(token),
                None => DetailsAccess::Nobody,
            },
            clock: Clock::system(),
        };
        Self::new(env, parts)
    }

    /// The app made of `parts`, and the rest from the environment.
    pub fn new(env: &Environment, parts: Parts) -> Result<Self, ConfigError> {
        let Parts {
            dynamodb,
            details,
            clock,
        } = parts;
        let stage = StageConfig::read(env)?;
        let mail = MailTransport::read(env, stage.stage)?;
        let probe = Probe::new(&dynamodb, config::identity_table(env)?);
        let valkey = Valkey::from_environment(env, stage.stage, clock.clone())?;
        Ok(Self {
            stage: Arc::new(stage),
            started_at: clock.now(),
            mail,
            details: Arc::new(details),
            dynamodb: Arc::new(LastProbe::new(probe, clock.clone())),
            valkey: valkey.map(|valkey| Arc::new(LastProbe::new(valkey, clock.clone()))),
            clock,
            reference: Arc::default(),
        })
    }

    /// The address of a path of this stage.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stage.issuer)
    }
}

/// The routes, with what surrounds each request.
pub fn router(app: App) -> Router {
    let context = FunctionContext::new("system", &app.stage.issuer, app.clock.clone());
    let stage = Arc::clone(&app.stage);
    let (routes, _) = routes().split_for_parts();
    with_conventions(routes.with_state(app), context, &stage.cors)
}

/// What the function adds to the OpenAPI document.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

const HEALTH: &str = "Health";
const DOCUMENTATION: &str = "Documentation";

/// Every route of the function, and its description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(description())
        .routes(routes!(index::show))
        .merge(health_routes())
        .nest("/api/v1", told_apart(health_routes()))
        .routes(routes!(docs::show))
        .routes(routes!(docs::errors::list))
        .routes(routes!(docs::errors::show))
        .routes(routes!(openapi::show))
}

fn health_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::show))
        .routes(routes!(health::live::show))
        .routes(routes!(health::ready::show))
}

/// The health routes stand at the root, where load balancers look, and among the versioned paths,
/// for clients that know no others. An OpenAPI document wants each operation's id once, and its
/// readers want to tell the two apart.
fn told_apart(mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let items = routes.get_openapi_mut().paths.paths.values_mut();
    for operation in items.filter_map(|item| item.get.as_mut()) {
        operation.operation_id = operation.operation_id.take().map(|id| format!("{id}V1"));
        operation.summary = operation
            .summary
            .take()
            .map(|text| format!("{text}, under /api/v1"));
    }
    routes
}

fn description() -> OpenApi {
    let tag = |name: &str, description: &str| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    };
    let metrics_token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token that the operator has set as METRICS_TOKEN.",
        ))
        .build();
    OpenApiBuilder::new()
        .tags(Some([
            tag(
                HEALTH,
                "Whether the service runs, and whether what it needs does.",
            ),
            tag(DOCUMENTATION, "What the service is and how it is used."),
        ]))
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("metrics_token", SecurityScheme::Http(metrics_token))
                .build(),
        ))
        .build()
}

#[cfg(test)]
mod tests;
