//! `GET /health`: how the service is, for people and dashboards; `/health/live` and
//! `/health/ready` are for what starts and stops instances.

mod dynamodb;
mod last_probe;
pub(crate) mod live;
pub(crate) mod ready;
mod valkey;

use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use secrecy::ExposeSecret;
use serde::Serialize;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::config::MailTransport;
use turnpike_shared::stores::Probe;
use turnpike_shared::web::single_header;
use utoipa::ToSchema;

use dynamodb::ErrorKind;
pub(crate) use last_probe::LastProbe;
use last_probe::{Outcome, Service};
pub(crate) use valkey::Valkey;
use valkey::{CacheDetails, ValkeyErrorKind};

use crate::{App, DetailsAccess, HEALTH};

/// How the service is.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthReport {
    status: HealthStatus,
    /// The release that runs.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The stage's kind: `development`, `testing`, `staging` or `production`.
    #[schema(example = "production")]
    environment: String,
    /// When the report was made.
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T20:43:16.042Z")]
    timestamp: Timestamp,
    /// How long this report took to make, in milliseconds.
    #[schema(example = 4.21)]
    response_time_ms: f64,
    services: Services,
    /// For the operator; `null` without the token that opens it.
    #[schema(required)]
    details: Option<Details>,
}

/// The service as a whole.
#[derive(Serialize, ToSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[schema(example = "healthy")]
pub(crate) enum HealthStatus {
    /// Everything that is enabled is up.
    Healthy,
    /// Something is down without which requests are still answered.
    Degraded,
    /// DynamoDB is down, without which no request is answered.
    Unhealthy,
}

/// What the service stands on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Services {
    dynamodb: ServiceHealth,
    valkey: ServiceHealth,
    queue: ServiceHealth,
    mail: ServiceHealth,
}

/// One service that this one stands on.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceHealth {
    status: ServiceStatus,
    /// How long it took to answer the last probe, in milliseconds; `null` when it did not answer
    /// or is not asked itself, as a serverless cache is not.
    #[schema(required, example = 3.87)]
    latency_ms: Option<f64>,
}

/// Whether a service answers; `disabled` is one that this stage does without.
#[derive(Serialize, ToSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServiceStatus {
    Up,
    Down,
    Disabled,
}

/// What helps an operator and concerns nobody else.
#[derive(Serialize, ToSchema)]
pub(crate) struct Details {
    /// When this instance started.
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T20:31:02.310Z")]
    started_at: Timestamp,
    /// When this instance last asked DynamoDB; at most once in 5 seconds.
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T20:43:14.977Z")]
    probed_at: Timestamp,
    /// How often this instance has asked since it started.
    #[schema(example = 12)]
    probes: u64,
    /// How many of these probes failed.
    #[schema(example = 0)]
    failed_probes: u64,
    /// Why the last probe failed; `null` when it did not.
    #[schema(required)]
    dynamodb_error_kind: Option<ErrorKind>,
    /// About Valkey; `null` where the stage has none.
    #[schema(required)]
    valkey: Option<ValkeyDetails>,
}

/// What helps an operator with Valkey.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValkeyDetails {
    /// When this instance last asked; at most once in 5 seconds.
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T20:43:14.977Z")]
    probed_at: Timestamp,
    /// How often this instance has asked since it started.
    #[schema(example = 12)]
    probes: u64,
    /// After how many of these probes Valkey was down.
    #[schema(example = 0)]
    failed_probes: u64,
    /// Why it is down; `null` when it is up.
    #[schema(required)]
    error_kind: Option<ValkeyErrorKind>,
    /// What ElastiCache says of the serverless cache; `null` for a server that has an address.
    #[schema(required)]
    cache: Option<CacheDetails>,
}

/// What was found out at most 5 seconds ago.
struct Probed {
    dynamodb: Outcome<<Probe as Service>::Answer>,
    valkey: Option<Outcome<<Valkey as Service>::Answer>>,
}

#[utoipa::path(
    get, path = "/health", tag = HEALTH, operation_id = "showHealth",
    summary = "Report how the service is",
    description = "Says how the service and each thing it stands on is. The report itself is \
        always 200, whatever it says: read `status`, or use `/health/ready`, which answers 503 \
        when the service cannot take requests. What is reported was found out at most 5 seconds \
        ago. A Valkey with an address is asked itself; of a serverless cache it is reported what \
        ElastiCache says. Without Valkey requests are still answered, so that its absence \
        makes the service `degraded` and no more. `details` are for the operator, who opens them with the metrics token; the local \
        stack shows them to everybody.",
    security((), ("metrics_token" = [])),
    responses((status = 200, description = "The report", body = HealthReport)),
)]
pub(crate) async fn show(State(app): State<App>, headers: HeaderMap) -> Json<HealthReport> {
    let started = Instant::now();
    let probed = app.probed().await;
    let services = Services::new(&probed, app.mail);
    Json(HealthReport {
        status: services.overall(),
        version: turnpike_shared::VERSION,
        environment: app.stage.stage.to_string(),
        timestamp: app.clock.now(),
        services,
        details: app
            .details
            .is_open_to(&headers)
            .then(|| Details::new(&app, probed)),
        response_time_ms: milliseconds(started.elapsed()),
    })
}

impl App {
    async fn probed(&self) -> Probed {
        let valkey = async {
            match &self.valkey {
                Some(valkey) => Some(valkey.outcome().await),
                None => None,
            }
        };
        let (dynamodb, valkey) = tokio::join!(self.dynamodb.outcome(), valkey);
        Probed { dynamodb, valkey }
    }
}

impl Services {
    fn new(probed: &Probed, mail: MailTransport) -> Self {
        let valkey = match &probed.valkey {
            None => ServiceHealth::unprobed(ServiceStatus::Disabled),
            // What was timed is ElastiCache's API.
            Some(outcome) if outcome.is_up && outcome.answer.cache.is_some() => {
                ServiceHealth::unprobed(ServiceStatus::Up)
            }
            Some(outcome) => ServiceHealth::probed(outcome),
        };
        let mail = match mail {
            MailTransport::Mailbox => ServiceStatus::Up,
            MailTransport::None => ServiceStatus::Disabled,
        };
        Self {
            dynamodb: ServiceHealth::probed(&probed.dynamodb),
            valkey,
            queue: ServiceHealth::unprobed(ServiceStatus::Disabled),
            mail: ServiceHealth::unprobed(mail),
        }
    }

    fn overall(&self) -> HealthStatus {
        let is_down = |service: &ServiceHealth| service.status == ServiceStatus::Down;
        if is_down(&self.dynamodb) {
            HealthStatus::Unhealthy
        } else if [&self.valkey, &self.queue, &self.mail]
            .into_iter()
            .any(is_down)
        {
            HealthStatus::Degraded
        } else {
            HealthStatus::Healthy
        }
    }
}

impl ServiceHealth {
    fn probed<A>(outcome: &Outcome<A>) -> Self {
        if outcome.is_up {
            Self {
                status: ServiceStatus::Up,
                latency_ms: Some(milliseconds(outcome.latency)),
            }
        } else {
            Self::unprobed(ServiceStatus::Down)
        }
    }

    fn unprobed(status: ServiceStatus) -> Self {
        Self {
            status,
            latency_ms: None,
        }
    }
}

impl Details {
    fn new(app: &App, probed: Probed) -> Self {
        let Probed { dynamodb, valkey } = probed;
        Self {
            started_at: app.started_at,
            probed_at: dynamodb.at,
            probes: dynamodb.probes,
            failed_probes: dynamodb.failed_probes,
            dynamodb_error_kind: dynamodb.answer.err(),
            valkey: valkey.map(|outcome| ValkeyDetails {
                probed_at: outcome.at,
                probes: outcome.probes,
                failed_probes: outcome.failed_probes,
                error_kind: outcome.answer.error,
                cache: outcome.answer.cache,
            }),
        }
    }
}

impl DetailsAccess {
    fn is_open_to(&self, request: &HeaderMap) -> bool {
        match self {
            Self::Everybody => true,
            Self::Nobody => false,
            Self::Token(token) => bearer_token(request).is_some_and(|sent| {
                let expected = token.expose_secret().as_bytes();
                verify_slices_are_equal(sent.as_bytes(), expected).is_ok()
            }),
        }
    }
}

/// The token of a request with exactly one credential (RFC 6750, section 2.1).
fn bearer_token(request: &HeaderMap) -> Option<&str> {
    let (scheme, token) = single_header(request, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// To the hundredth: what is finer than that is noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn sent(authorization: &[&'static str]) -> HeaderMap {
        let values = authorization
            .iter()
            .map(|value| HeaderValue::from_static(value));
        values.map(|value| (header::AUTHORIZATION, value)).collect()
    }

    #[test]
    fn details_open_to_the_token_alone() {
        let access = DetailsAccess::Token("a-long-secret".into());

        for right in [["Bearer a-long-secret"], ["bearer  a-long-secret"]] {
            assert!(access.is_open_to(&sent(&right)), "{right:?}");
        }
        for wrong in [
            &[][..],
            &["Bearer a-long-secreT"],
            &["Bearer a-long-secret-and-more"],
            &["Bearer"],
            &["Bearer "],
            &["Basic a-long-secret"],
            &["a-long-secret"],
            &["Bearer a-long-secret", "Bearer a-long-secret"],
        ] {
            assert!(!access.is_open_to(&sent(wrong)), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_token_details_are_open_to_everybody_or_nobody() {
        assert!(DetailsAccess::Everybody.is_open_to(&HeaderMap::new()));
        assert!(!DetailsAccess::Nobody.is_open_to(&sent(&["Bearer "])));
    }

    #[test]
    fn the_service_is_as_healthy_as_what_it_needs() {
        use ServiceStatus::{Disabled, Down, Up};
        let cases = [
            ([Up, Disabled, Disabled, Disabled], HealthStatus::Healthy),
            ([Up, Up, Up, Up], HealthStatus::Healthy),
            ([Up, Down, Up, Up], HealthStatus::Degraded),
            ([Up, Disabled, Disabled, Down], HealthStatus::Degraded),
            ([Down, Up, Up, Up], HealthStatus::Unhealthy),
            ([Down, Down, Disabled, Up], HealthStatus::Unhealthy),
        ];

        for (statuses, expected) in cases {
            let [dynamodb, valkey, queue, mail] = statuses.map(ServiceHealth::unprobed);
            let services = Services {
                dynamodb,
                valkey,
                queue,
                mail,
            };
            assert_eq!(services.overall(), expected, "{statuses:?}");
        }
    }
}
