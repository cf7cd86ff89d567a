//! Every environment variable that Turnpike reads: its name and what it should look like.
//!
//! `.env.example` and `template.yaml` are held against this list by tests.

/// A variable of the environment.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// What its value should look like, to stand behind "it should be".
    pub expected: &'static str,
}

macro_rules! variables {
    ($($constant:ident $name:literal $expected:literal;)+) => {
        $(pub(super) const $constant: Variable = Variable { name: $name, expected: $expected };)+

        /// All of them.
        pub const VARIABLES: &[Variable] = &[$($constant,)+];
    };
}

variables! {
    ENVIRONMENT "TURNPIKE_ENVIRONMENT" "development, testing, staging or production";
    ISSUER "TURNPIKE_ISSUER" "the stage's own origin, such as https://api.example.com (outside development and testing https, and a public host name)";
    APP_URL "TURNPIKE_APP_URL" "the address that links in mails start with, such as https://app.example.com";
    CORS_ORIGINS "TURNPIKE_CORS_ORIGINS" "origins separated by commas, such as https://app.example.com (https outside development and testing), never *";
    CORS_ALLOW_CREDENTIALS "TURNPIKE_CORS_ALLOW_CREDENTIALS" "true or false";
    CREDENTIALS_TABLE "TURNPIKE_CREDENTIALS_TABLE" "the name of the credentials table";
    IDENTITY_TABLE "TURNPIKE_IDENTITY_TABLE" "the name of the identity table";
    ADMISSION_TABLE "TURNPIKE_ADMISSION_TABLE" "the name of the admission table";
    USAGE_TABLE "TURNPIKE_USAGE_TABLE" "the name of the usage table";
    WORK_TABLE "TURNPIKE_WORK_TABLE" "the name of the work table";
    CACHE_TABLE "TURNPIKE_CACHE_TABLE" "the name of the cache table";
    AUDIT_TABLE "TURNPIKE_AUDIT_TABLE" "the name of the audit table";
    SIGNING_ALGORITHM "TURNPIKE_SIGNING_ALGORITHM" "RS256 or ES256";
    SIGNING_KEYS_SECRET "TURNPIKE_SIGNING_KEYS_SECRET" "the ARN of the secret with the signing keys";
    SIGNING_KEYS "TURNPIKE_SIGNING_KEYS" "unset, or in development and testing the signing keys themselves, as `turnpike-local signing-keys` prints them";
    AUTH_SECRET_ARN "TURNPIKE_AUTH_SECRET_ARN" "the ARN of the secret that refresh tokens and cursors are made with";
    AUTH_SECRET "TURNPIKE_AUTH_SECRET" "unset, or in development and testing that secret itself, 32 characters or more";
    CURSOR_SECRET_ARN "TURNPIKE_CURSOR_SECRET_ARN" "the ARN of the secret that the list cursors of the functions users, history and content are made with";
    CURSOR_SECRET "TURNPIKE_CURSOR_SECRET" "unset, or in development and testing that secret itself, 32 characters or more";
    AUDIT_SECRET_ARN "TURNPIKE_AUDIT_SECRET_ARN" "the ARN of the secret that the audit log is chained with";
    AUDIT_SECRET "TURNPIKE_AUDIT_SECRET" "unset, or in development and testing that secret itself, 32 characters or more";
    UPSTREAM_SECRETS_PREFIX "TURNPIKE_UPSTREAM_SECRETS_PREFIX" "what the names of upstreams' secrets begin with in AWS Secrets Manager, such as turnpike-prod/upstreams/";
    UPSTREAM_SECRETS "TURNPIKE_UPSTREAM_SECRETS" "unset, or in development and testing the secrets of upstreams themselves, as a JSON object of names and texts";
    VALKEY_URL "TURNPIKE_VALKEY_URL" "unset, or the address of a Valkey, such as redis://127.0.0.1:6379 (in staging and production rediss:// and without a password)";
    VALKEY_CLUSTER "TURNPIKE_VALKEY_CLUSTER" "unset, or beside TURNPIKE_VALKEY_URL true or false: whether that Valkey is a cluster";
    VALKEY_CACHE "TURNPIKE_VALKEY_CACHE" "unset, or the name of a serverless cache of ElastiCache: at most 40 letters, digits and hyphens, a letter first";
    VALKEY_USER "TURNPIKE_VALKEY_USER" "unset, or beside TURNPIKE_VALKEY_CACHE the id of the cache's IAM user: at most 40 letters, digits and hyphens, a letter first";
    AUTHORIZER_RESPONSE "TURNPIKE_AUTHORIZER_RESPONSE" "simple or iam: how the authorizer answers API Gateway";
    AUTHORIZER_CLASS "TURNPIKE_AUTHORIZER_CLASS" "a class of the policy in which users are counted, such as default";
    AUTHORIZER_SCOPES "TURNPIKE_AUTHORIZER_SCOPES" "unset, or the scopes that the authorizer asks for, separated by spaces, such as query:run";
    SECURITY_CONTACT "TURNPIKE_SECURITY_CONTACT" "a mailto:, https: or tel: address for reports of vulnerabilities";
    METRICS_TOKEN "METRICS_TOKEN" "a bearer token that opens the details of /health";
    MAIL "TURNPIKE_MAIL" "none, or in development and testing mailbox";
    LOG "TURNPIKE_LOG" "filter directives, such as info or turnpike_auth=debug,info";
    ADMIN_EMAIL "TURNPIKE_ADMIN_EMAIL" "the e-mail address of the local stack's first admin";
    ADMIN_PASSWORD "TURNPIKE_ADMIN_PASSWORD" "the password of the local stack's first admin, as strong as any user's";
    TEST_PANIC_PATH "TURNPIKE_TEST_PANIC_PATH" "unset, or in testing a path whose handler is to panic";
    FUNCTION_MEMORY "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" "the function's memory in megabytes, as Lambda sets it";
    AWS_REGION "AWS_REGION" "the AWS region, as Lambda sets it";
    AWS_ACCESS_KEY_ID "AWS_ACCESS_KEY_ID" "an AWS access key id, as Lambda sets it";
    AWS_SECRET_ACCESS_KEY "AWS_SECRET_ACCESS_KEY" "an AWS secret access key, as Lambda sets it";
    AWS_SESSION_TOKEN "AWS_SESSION_TOKEN" "an AWS session token, as Lambda sets it";
    AWS_ENDPOINT_URL_DYNAMODB "AWS_ENDPOINT_URL_DYNAMODB" "unset, or the address of another DynamoDB engine, such as http://127.0.0.1:8000";
    AWS_ENDPOINT_URL_SECRETS_MANAGER "AWS_ENDPOINT_URL_SECRETS_MANAGER" "unset, or the address of another Secrets Manager, such as http://127.0.0.1:4566";
    AWS_ENDPOINT_URL_ELASTICACHE "AWS_ENDPOINT_URL_ELASTICACHE" "unset, or the address of another ElastiCache API, such as http://127.0.0.1:4566";
}
