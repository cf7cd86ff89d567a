//! How long the ways of making a DynamoDB client take, each run in a process of its own.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::error::BenchError;
use crate::start::RUNS;
use crate::statistics::Sample;

/// A way, as `client-start` calls it, and what it is.
const WAYS: [(&str, &str); 3] = [
    (
        "plain",
        "credentials from the environment, Amazon's roots embedded (what the functions do)",
    ),
    ("aws-config", "`aws-config`, Amazon's roots embedded"),
    (
        "system-roots",
        "credentials from the environment, the system's roots",
    ),
];

/// A bundle as in Lambda's own image: one file. Without this, a Debian is searched for its folder
/// of single certificates as well, which takes longer still.
const SYSTEM_BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// The starts of a client in one way.
pub(crate) struct ClientStart {
    pub(crate) way: &'static str,
    pub(crate) made: Sample,
    pub(crate) credentials: Sample,
}

pub(crate) async fn measure(bootstraps: &Path) -> Result<Vec<ClientStart>, BenchError> {
    // cargo-lambda calls every program that it builds `bootstrap`.
    let program = bootstraps.join("client-start").join("bootstrap");
    let mut times = WAYS.map(|_| Vec::with_capacity(RUNS));
    // The first run brings the program into the page cache.
    for run in 0..=RUNS {
        for ((name, _), times) in WAYS.into_iter().zip(&mut times) {
            let time = run_once(&program, name).await?;
            if run > 0 {
                times.push(time);
            }
        }
    }
    let measured = WAYS.into_iter().zip(times);
    Ok(measured
        .map(|((_, way), times)| {
            let (made, credentials) = times.into_iter().unzip();
            ClientStart {
                way,
                made: Sample::new(made),
                credentials: Sample::new(credentials),
            }
        })
        .collect())
}

async fn run_once(program: &Path, way: &str) -> Result<(Duration, Duration), BenchError> {
    let mut command = Command::new(program);
    command.arg(way).env_clear().envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLEEXAMPLE00"),
        ("AWS_SECRET_ACCESS_KEY", "example"),
        ("AWS_SESSION_TOKEN", "example"),
    ]);
    let bundle = SYSTEM_BUNDLES.iter().find(|file| Path::new(file).is_file());
    if let Some(bundle) = bundle {
        command.env("SSL_CERT_FILE", bundle);
    }
    let output = command.output().await;
    let output = output.map_err(|error| BenchError::Program(program.to_owned(), error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut micros = text.split_whitespace().map_while(|word| word.parse().ok());
    if let (Some(made), Some(credentials)) = (micros.next(), micros.next()) {
        let time = Duration::from_micros;
        Ok((time(made), time(credentials)))
    } else {
        let cause = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(BenchError::Failed(program.to_owned(), cause))
    }
}
