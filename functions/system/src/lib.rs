//! The function `system`: what the service is, how it is, and how it is used.
//!
//! It owns the paths at the root (`/`, `/health*`, `/docs*`, `/openapi.json`) and, because API
//! Gateway's `$default` leads to it, the 404 of every path that belongs to no other function. It
//! changes nothing, knows no users, and asks DynamoDB one question: whether it answers.

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
use crate::health::LastProbe;

/// Who is shown the details of `/health`.
#[derive(Clone, Debug)]
pub enum DetailsAccess {
    /// Everybody who can reach the address; for the local stack.
    Everybody,
    /// Whoever sends this token as `Authorization: Bearer`.
    Token(SecretString),
    Nobody,
}

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    stage: Arc<StageConfig>,
    clock: Clock,
    started_at: Timestamp,
    mail: MailTransport,
    details: Arc<DetailsAccess>,
    dynamodb: Arc<LastProbe>,
    reference: Arc<ReferencePage>,
}

impl App {
    pub fn new(
        stage: StageConfig,
        probe: Probe,
        mail: MailTransport,
        details: DetailsAccess,
        clock: Clock,
    ) -> Self {
        Self {
            stage: Arc::new(stage),
            started_at: clock.now(),
            mail,
            details: Arc::new(details),
            dynamodb: Arc::new(LastProbe::new(probe, clock.clone())),
            clock,
            reference: Arc::default(),
        }
    }

    /// The app as the environment describes it.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let stage = StageConfig::read(env)?;
        let dynamodb = DynamoDb::from_environment(env)?;
        let probe = Probe::new(&dynamodb, config::identity_table(env)?);
        probe.clone().warm_up();
        let mail = MailTransport::read(env, stage.stage)?;
        let details = match config::metrics_token(env) {
            Some(token) => DetailsAccess::Token(token),
            None => DetailsAccess::Nobody,
        };
        Ok(Self::new(stage, probe, mail, details, Clock::system()))
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
