//! How many requests the local stack answers, server and load generator each in its own process.

use std::path::Path;

use crate::error::BenchError;
use crate::load::Outcome;
use crate::server::{Cores, Server, findings};

pub(crate) struct Throughput {
    pub(crate) sign_ins: Outcome,
    pub(crate) me: Outcome,
}

pub(crate) async fn measure(local: &Path) -> Result<Throughput, BenchError> {
    let stack = Server::local_stack(local, &[], Cores::All).await?;
    let sign_ins = load(&stack, "sign-ins", 4, Cores::All).await?;
    drop(stack);
    let stack = Server::local_stack(local, &[], Cores::MEASURED).await?;
    let me = load(&stack, "me", 16, Cores::OTHERS).await?;
    Ok(Throughput { sign_ins, me })
}

/// Sends a server requests, from a process beside it.
pub(crate) async fn load(
    server: &Server,
    kind: &str,
    connections: u32,
    generator: Cores,
) -> Result<Outcome, BenchError> {
    let (base, connections) = (server.origin(), connections.to_string());
    let arguments = ["load", "--kind", kind, "--connections", &connections];
    let of_server = ["--base", &base, "--server", &server.id.to_string()];
    let arguments = [&arguments[..], &of_server[..]].concat();
    findings(&std::env::current_exe()?, &arguments, generator).await
}
