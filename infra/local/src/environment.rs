//! The environment of the stack's functions: what its owner set, completed by what the stack knows.

use std::path::Path;

use aws_credential_types::provider::ProvideCredentials as _;
use turnpike_shared::auth::Algorithm;
use turnpike_shared::config::Environment;
use turnpike_shared::stores::https_client;

use crate::keys::StackKeys;
use crate::stack::StartError;
use crate::template::Template;

/// The environment with what holds of every stack.
pub(crate) fn of_stack(env: Environment, base: &str, valkey: Option<String>) -> Environment {
    let env = env
        .or("TURNPIKE_ENVIRONMENT", "development")
        .or("TURNPIKE_ISSUER", base);
    match valkey {
        Some(url) => env.with("TURNPIKE_VALKEY_URL", url),
        None => env,
    }
}

/// The environment for an engine of one's own: its tables are the template's, its keys the
/// stack's.
pub(crate) fn on_own_engine(
    env: Environment,
    template: &Template,
    data: Option<&Path>,
) -> Result<Environment, StartError> {
    let algorithm = match env.lookup("TURNPIKE_SIGNING_ALGORITHM") {
        Some("ES256") => Algorithm::ES256,
        _ => Algorithm::RS256,
    };
    let keys = StackKeys::load(data, algorithm)?;
    let mut env = env
        .or("AWS_REGION", "us-east-1")
        .or("AWS_ACCESS_KEY_ID", "local")
        .or("AWS_SECRET_ACCESS_KEY", "local");
    if env.lookup("TURNPIKE_SIGNING_KEYS_SECRET").is_none() {
        env = env.or("TURNPIKE_SIGNING_KEYS", keys.signing_keys);
    }
    if env.lookup("TURNPIKE_AUTH_SECRET_ARN").is_none() {
        env = env.or("TURNPIKE_AUTH_SECRET", keys.auth_secret);
    }
    if env.lookup("TURNPIKE_CURSOR_SECRET_ARN").is_none() {
        env = env.or("TURNPIKE_CURSOR_SECRET", keys.cursor_secret);
    }
    if env.lookup("TURNPIKE_AUDIT_SECRET_ARN").is_none() {
        env = env.or("TURNPIKE_AUDIT_SECRET", keys.audit_secret);
    }
    for (variable, table) in &template.table_variables {
        env = env.with(variable, table);
    }
    Ok(env)
}

/// The environment for the tables of a deployed stage: the developer's own AWS credentials, as
/// the AWS CLI would find them. Table names, issuer and secrets come from the environment.
pub(crate) async fn on_aws(env: Environment) -> Result<Environment, StartError> {
    let aws = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(https_client())
        .load()
        .await;
    let region = aws
        .region()
        .ok_or_else(|| StartError::Aws("no region is configured".into()))?;
    let provider = aws
        .credentials_provider()
        .ok_or_else(|| StartError::Aws("no credentials are configured".into()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| StartError::Aws(error.to_string()))?;
    let env = env
        .with("AWS_REGION", region.as_ref())
        .with("AWS_ACCESS_KEY_ID", credentials.access_key_id())
        .with("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
    Ok(match credentials.session_token() {
        Some(token) => env.with("AWS_SESSION_TOKEN", token),
        None => env,
    })
}
