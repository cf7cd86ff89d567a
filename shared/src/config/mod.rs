//! Configuration: the environment, read once, into one struct per concern.
//!
//! A value that does not fit stops the start and is named together with what it should look like.
//! Development, testing, staging and production differ in values and in what they refuse.

mod authorizer;
mod stage;
mod upstreams;
mod valkey;
mod variables;

use std::collections::HashMap;

use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

pub use authorizer::{AuthorizerConfig, AuthorizerResponse};
pub use stage::{Cors, Stage, StageConfig};
pub use upstreams::UpstreamSecretSource;
pub use valkey::{Login, ServerlessCache, Topology, Transport, ValkeyConfig, ValkeyServer};
pub use variables::{VARIABLES, Variable};

use crate::auth::Algorithm;

/// What a variable should look like, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}; it should be {expected}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub problem: String,
    pub expected: &'static str,
}

impl Variable {
    fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            variable: self.name,
            problem: problem.into(),
            expected: self.expected,
        }
    }
}

/// The environment as it was at the start.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the home of the environment"
        )]
        let all = std::env::vars_os();
        let as_text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(all.filter_map(as_text).collect())
    }

    /// Sets a variable in this copy of the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a variable in this copy of the environment, unless it is set already.
    #[must_use]
    pub fn or(self, name: &str, value: impl Into<String>) -> Self {
        if self.lookup(name).is_some() {
            self
        } else {
            self.with(name, value)
        }
    }

    /// The value of a variable by its name; one that is empty counts as not set.
    pub fn lookup(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The value of a variable; one that is empty counts as not set.
    pub fn get(&self, variable: &Variable) -> Option<&str> {
        self.lookup(variable.name)
    }

    fn required(&self, variable: &Variable) -> Result<&str, ConfigError> {
        self.get(variable)
            .ok_or_else(|| variable.error("it is not set"))
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The variable holds it; for development and tests.
    Inline(SecretString),
    /// The name or ARN of a secret in AWS Secrets Manager.
    SecretsManager(String),
}

/// What signs and checks tokens.
#[derive(Clone, Debug)]
pub struct KeysConfig {
    pub algorithm: Algorithm,
    pub signing_keys: SecretSource,
    pub auth_secret: SecretSource,
}

impl KeysConfig {
    pub fn read(env: &Environment, stage: Stage) -> Result<Self, ConfigError> {
        let algorithm = match env.get(&variables::SIGNING_ALGORITHM).unwrap_or("RS256") {
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            other => {
                return Err(variables::SIGNING_ALGORITHM.error(format!("it is {other:?}")));
            }
        };
        Ok(Self {
            algorithm,
            signing_keys: secret_source(
                env,
                stage,
                &variables::SIGNING_KEYS,
                &variables::SIGNING_KEYS_SECRET,
            )?,
            auth_secret: secret_source(
                env,
                stage,
                &variables::AUTH_SECRET,
                &variables::AUTH_SECRET_ARN,
            )?,
        })
    }
}

/// The secret that the cursors of most lists, and the answers kept for repetitions, are made with.
pub fn cursor_secret(env: &Environment, stage: Stage) -> Result<SecretSource, ConfigError> {
    secret_source(
        env,
        stage,
        &variables::CURSOR_SECRET,
        &variables::CURSOR_SECRET_ARN,
    )
}

/// The secret that the audit log is chained with.
pub fn audit_secret(env: &Environment, stage: Stage) -> Result<SecretSource, ConfigError> {
    secret_source(
        env,
        stage,
        &variables::AUDIT_SECRET,
        &variables::AUDIT_SECRET_ARN,
    )
}

fn secret_source(
    env: &Environment,
    stage: Stage,
    inline: &Variable,
    arn: &Variable,
) -> Result<SecretSource, ConfigError> {
    match (env.get(arn), env.get(inline)) {
        (Some(name), None) => Ok(SecretSource::SecretsManager(name.to_owned())),
        (None, Some(_)) if stage.is_deployed() => {
            Err(inline.error(format!("{stage} takes no secret from a variable")))
        }
        (None, Some(secret)) => Ok(SecretSource::Inline(secret.into())),
        (None, None) => Err(arn.error("it is not set")),
        (Some(_), Some(_)) => Err(inline.error(format!("{} is set too", arn.name))),
    }
}

/// The names of the tables that functions which admit requests use, as the template gives them.
#[derive(Clone, Debug)]
pub struct UserTables {
    pub identity: String,
    pub admission: String,
}

impl UserTables {
    pub fn read(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            identity: identity_table(env)?,
            admission: admission_table(env)?,
        })
    }
}

/// The names of the tables that `auth` uses.
#[derive(Clone, Debug)]
pub struct Tables {
    pub credentials: String,
    pub users: UserTables,
}

impl Tables {
    pub fn read(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            credentials: env.required(&variables::CREDENTIALS_TABLE)?.to_owned(),
            users: UserTables::read(env)?,
        })
    }
}

/// The name of the one table that every function may read.
pub fn identity_table(env: &Environment) -> Result<String, ConfigError> {
    env.required(&variables::IDENTITY_TABLE).map(str::to_owned)
}

/// The name of the table of what every function counts and checks before it serves.
pub fn admission_table(env: &Environment) -> Result<String, ConfigError> {
    env.required(&variables::ADMISSION_TABLE).map(str::to_owned)
}

/// The name of the usage table.
pub fn usage_table(env: &Environment) -> Result<String, ConfigError> {
    env.required(&variables::USAGE_TABLE).map(str::to_owned)
}

/// The name of the table of what users keep and ask for.
pub fn work_table(env: &Environment) -> Result<String, ConfigError> {
    env.required(&variables::WORK_TABLE).map(str::to_owned)
}

/// The name of the table of the cache's warm tier.
pub fn cache_table(env: &Environment) -> Result<String, ConfigError> {
    env.required(&variables::CACHE_TABLE).map(str::to_owned)
}

/// The function's memory in bytes; `None` outside of Lambda.
pub fn function_memory(env: &Environment) -> Result<Option<u64>, ConfigError> {
    let bytes_of = |text: &str| {
        let megabytes: u64 = text.parse().ok()?;
        megabytes.checked_mul(1024 * 1024)
    };
    let read = |text: &str| {
        let refused = || variables::FUNCTION_MEMORY.error(format!("it is {text:?}"));
        bytes_of(text).ok_or_else(refused)
    };
    env.get(&variables::FUNCTION_MEMORY).map(read).transpose()
}

/// The name of the table of the audit log.
pub fn audit_table(env: &Environment) -> Result<String, ConfigError> {
    env.required(&variables::AUDIT_TABLE).map(str::to_owned)
}

/// Who carries mails out of the outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailTransport {
    /// Nobody in this process; they wait in the outbox.
    None,
    /// The local stack's mailbox, where everybody on this machine can read them.
    Mailbox,
}

impl MailTransport {
    pub fn read(env: &Environment, stage: Stage) -> Result<Self, ConfigError> {
        match env.get(&variables::MAIL).unwrap_or("none") {
            "none" => Ok(Self::None),
            "mailbox" if stage.is_deployed() => {
                Err(variables::MAIL.error(format!("{stage} has no mailbox that anybody may read")))
            }
            "mailbox" => Ok(Self::Mailbox),
            other => Err(variables::MAIL.error(format!("it is {other:?}"))),
        }
    }
}

/// The bearer token that opens the details of `/health`, if one is set.
pub fn metrics_token(env: &Environment) -> Option<SecretString> {
    env.get(&variables::METRICS_TOKEN).map(SecretString::from)
}

/// Where to report a vulnerability (RFC 9116, section 2.5.3).
pub fn security_contact(env: &Environment, stage: &StageConfig) -> Result<String, ConfigError> {
    let Some(contact) = env.get(&variables::SECURITY_CONTACT) else {
        return Ok(format!("mailto:security@{}", stage.host()));
    };
    let is_uri = ["mailto:", "https://", "tel:"]
        .iter()
        .any(|scheme| contact.starts_with(scheme));
    if is_uri && !contact.contains(char::is_control) {
        Ok(contact.to_owned())
    } else {
        Err(variables::SECURITY_CONTACT.error(format!("it is {contact:?}")))
    }
}

/// Crates that log whole requests when they are asked for more than `info`: password hashes,
/// addresses, keys.
const LOGS_BODIES: [&str; 11] = [
    "aws_config",
    "aws_runtime",
    "aws_sdk_dynamodb",
    "aws_sdk_elasticache",
    "aws_sdk_secretsmanager",
    "aws_sigv4",
    "aws_smithy_http_client",
    "aws_smithy_runtime",
    "hyper",
    "lambda_http",
    "lambda_runtime",
];

/// What the log shows.
pub fn log_filter(env: &Environment) -> Result<LogFilter, ConfigError> {
    let directives = env.get(&variables::LOG).unwrap_or("info");
    if LOGS_BODIES.iter().any(|target| directives.contains(target)) {
        return Err(variables::LOG.error("it names a crate whose log would hold secrets"));
    }
    match EnvFilter::try_new(directives) {
        Ok(_) => {
            let capped = LOGS_BODIES.iter().map(|target| format!(",{target}=info"));
            Ok(LogFilter(
                directives.to_owned() + &capped.collect::<String>(),
            ))
        }
        Err(error) => Err(variables::LOG.error(format!("it cannot be read: {error}"))),
    }
}

/// Filter directives that can be read; the default is `info`.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl LogFilter {
    pub fn directives(&self) -> &str {
        &self.0
    }
}

/// The address of another engine than the region's own DynamoDB.
pub fn dynamodb_endpoint(env: &Environment) -> Option<&str> {
    env.get(&variables::AWS_ENDPOINT_URL_DYNAMODB)
}

/// The address of another Secrets Manager than the region's own.
pub fn secrets_manager_endpoint(env: &Environment) -> Option<&str> {
    env.get(&variables::AWS_ENDPOINT_URL_SECRETS_MANAGER)
}

/// The address of another ElastiCache API than the region's own.
pub fn elasticache_endpoint(env: &Environment) -> Option<&str> {
    env.get(&variables::AWS_ENDPOINT_URL_ELASTICACHE)
}

/// The AWS region, as Lambda sets it.
pub fn aws_region(env: &Environment) -> Result<&str, ConfigError> {
    env.required(&variables::AWS_REGION)
}

/// The function's temporary credentials, as Lambda sets them: key id, secret and session token.
pub fn aws_credentials(
    env: &Environment,
) -> Result<(&str, SecretString, Option<SecretString>), ConfigError> {
    Ok((
        env.required(&variables::AWS_ACCESS_KEY_ID)?,
        env.required(&variables::AWS_SECRET_ACCESS_KEY)?.into(),
        env.get(&variables::AWS_SESSION_TOKEN)
            .map(SecretString::from),
    ))
}

/// The e-mail address of the local stack's first admin, and its password if one is set.
pub fn local_admin(env: &Environment) -> (Option<&str>, Option<SecretString>) {
    let password = env.get(&variables::ADMIN_PASSWORD).map(SecretString::from);
    (env.get(&variables::ADMIN_EMAIL), password)
}

/// Where links in mails lead: the app that the product's users see.
pub fn app_url(env: &Environment, stage: &StageConfig) -> Result<String, ConfigError> {
    match env.get(&variables::APP_URL) {
        None => Ok(stage.issuer.clone()),
        Some(url) => stage::origin_or_base(url)
            .map(|()| url.trim_end_matches('/').to_owned())
            .map_err(|problem| variables::APP_URL.error(problem)),
    }
}

/// A path whose handler panics, so that a test can see what becomes of a panic.
pub fn panic_path(env: &Environment, stage: Stage) -> Result<Option<String>, ConfigError> {
    match env.get(&variables::TEST_PANIC_PATH) {
        Some(_) if stage != Stage::Testing => {
            Err(variables::TEST_PANIC_PATH.error(format!("{stage} has no place for it")))
        }
        path => Ok(path.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn production() -> Environment {
        Environment::default()
            .with("TURNPIKE_ENVIRONMENT", "production")
            .with("TURNPIKE_ISSUER", "https://api.example.com")
            .with("TURNPIKE_CORS_ORIGINS", "https://app.example.com")
            .with(
                "TURNPIKE_SIGNING_KEYS_SECRET",
                "arn:aws:secretsmanager:keys",
            )
            .with("TURNPIKE_AUTH_SECRET_ARN", "arn:aws:secretsmanager:secret")
            .with(
                "TURNPIKE_CURSOR_SECRET_ARN",
                "arn:aws:secretsmanager:cursors",
            )
            .with("TURNPIKE_ADMISSION_TABLE", "admission")
    }

    fn start(env: &Environment) -> Result<(), ConfigError> {
        let stage = StageConfig::read(env)?;
        KeysConfig::read(env, stage.stage)?;
        cursor_secret(env, stage.stage)?;
        admission_table(env)?;
        ValkeyConfig::read(env, stage.stage)?;
        MailTransport::read(env, stage.stage)?;
        security_contact(env, &stage)?;
        panic_path(env, stage.stage)?;
        log_filter(env)?;
        Ok(())
    }

    #[test]
    fn a_well_configured_production_starts() {
        assert_eq!(start(&production()), Ok(()));
    }

    #[test]
    fn production_refuses_to_start_misconfigured_and_names_the_variable() {
        let cases = [
            ("TURNPIKE_ISSUER", ""),
            ("TURNPIKE_ISSUER", "http://api.example.com"),
            ("TURNPIKE_ISSUER", "https://api.example.com/"),
            ("TURNPIKE_ISSUER", "https://api.example.com/v1"),
            ("TURNPIKE_ISSUER", "https://user@api.example.com"),
            ("TURNPIKE_ISSUER", "https://127.0.0.1"),
            ("TURNPIKE_ISSUER", "https://localhost"),
            ("TURNPIKE_CORS_ORIGINS", "*"),
            ("TURNPIKE_CORS_ORIGINS", "http://app.example.com"),
            ("TURNPIKE_CORS_ORIGINS", "https://app.example.com/path"),
            ("TURNPIKE_CORS_ALLOW_CREDENTIALS", "yes"),
            ("TURNPIKE_SIGNING_KEYS_SECRET", ""),
            ("TURNPIKE_AUTH_SECRET_ARN", ""),
            ("TURNPIKE_CURSOR_SECRET_ARN", ""),
            ("TURNPIKE_CURSOR_SECRET", "0123456789abcdef0123456789abcdef"),
            ("TURNPIKE_ADMISSION_TABLE", ""),
            ("TURNPIKE_VALKEY_URL", "redis://cache.example.com"),
            (
                "TURNPIKE_VALKEY_URL",
                "rediss://:password@cache.example.com",
            ),
            ("TURNPIKE_SIGNING_ALGORITHM", "HS256"),
            ("TURNPIKE_SIGNING_KEYS", "{}"),
            ("TURNPIKE_MAIL", "mailbox"),
            ("TURNPIKE_MAIL", "pigeon"),
            ("TURNPIKE_SECURITY_CONTACT", "security@example.com"),
            ("TURNPIKE_TEST_PANIC_PATH", "/health"),
            ("TURNPIKE_LOG", "nonsense=nonsense"),
            ("TURNPIKE_LOG", "aws_smithy_runtime=trace"),
            ("TURNPIKE_LOG", "aws_sigv4=trace"),
        ];

        for (variable, value) in cases {
            let refused = start(&production().with(variable, value)).unwrap_err();
            assert_eq!(refused.variable, variable, "{variable}={value}: {refused}");
        }
    }

    #[test]
    fn credentials_and_an_empty_list_of_origins_do_not_go_together() {
        let env = production()
            .with("TURNPIKE_CORS_ORIGINS", "")
            .with("TURNPIKE_CORS_ALLOW_CREDENTIALS", "true");

        assert_eq!(start(&env).unwrap_err().variable, "TURNPIKE_CORS_ORIGINS");
    }

    #[test]
    fn a_secret_from_a_variable_is_refused_where_it_is_deployed() {
        for stage in ["staging", "production"] {
            let env = production()
                .with("TURNPIKE_ENVIRONMENT", stage)
                .with("TURNPIKE_AUTH_SECRET_ARN", "")
                .with("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef");

            assert_eq!(
                start(&env).unwrap_err().variable,
                "TURNPIKE_AUTH_SECRET",
                "{stage}"
            );
        }
    }

    #[test]
    fn an_error_says_what_the_variable_should_look_like() {
        let refused = start(&production().with("TURNPIKE_ENVIRONMENT", "prod")).unwrap_err();

        assert_eq!(
            refused.to_string(),
            "TURNPIKE_ENVIRONMENT: it is \"prod\"; it should be development, testing, staging \
             or production",
        );
    }
}
