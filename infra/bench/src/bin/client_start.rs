//! Makes a client of DynamoDB in one of three ways, and prints the microseconds until it was
//! there and until it held credentials.
//!
//! `plain` is what the functions do. `aws-config` finds region and credentials by the SDK's own
//! chain, `system-roots` trusts the machine's certificates; each is otherwise like `plain`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use turnpike_shared::config::Environment;
use turnpike_shared::stores::{DynamoDb, https_client};

type Failure = Box<dyn std::error::Error>;

/// How long it took until there was a client, and until it could sign a request.
struct Times {
    made: Duration,
    credentials: Duration,
}

fn main() -> Result<ExitCode, Failure> {
    let way = std::env::args().nth(1).unwrap_or_default();
    // As `turnpike_shared::runtime` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let times = runtime.block_on(async {
        match way.as_str() {
            "plain" => plain(),
            "aws-config" => by_aws_config().await,
            "system-roots" => with_system_roots(),
            _ => Err("usage: client-start plain|aws-config|system-roots".into()),
        }
    })?;
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    {
        println!(
            "{} {}",
            times.made.as_micros(),
            times.credentials.as_micros()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn plain() -> Result<Times, Failure> {
    let begun = Instant::now();
    let client = DynamoDb::from_environment(&Environment::of_process())?;
    let made = begun.elapsed();
    drop(client);
    Ok(Times {
        made,
        credentials: made,
    })
}

async fn by_aws_config() -> Result<Times, Failure> {
    let begun = Instant::now();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https_client())
        .load()
        .await;
    let client = Client::new(&config);
    let made = begun.elapsed();
    let provider = config.credentials_provider().ok_or("no credentials")?;
    provider.provide_credentials().await?;
    let credentials = begun.elapsed();
    drop(client);
    Ok(Times { made, credentials })
}

/// What `turnpike_shared::stores` does, but for the roots.
fn with_system_roots() -> Result<Times, Failure> {
    let begun = Instant::now();
    let env = Environment::of_process();
    let variable = |name: &str| env.lookup(name).ok_or_else(|| format!("{name} is not set"));
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        env.lookup("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(variable("AWS_REGION")?.to_owned()))
        .credentials_provider(credentials)
        .http_client(client_trusting_the_system()?);
    let client = Client::from_conf(config.build());
    let made = begun.elapsed();
    drop(client);
    Ok(Times {
        made,
        credentials: made,
    })
}

fn client_trusting_the_system() -> Result<SharedHttpClient, Failure> {
    let roots = TrustStore::default().with_native_roots(true);
    let context = TlsContext::builder().with_trust_store(roots).build()?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}
