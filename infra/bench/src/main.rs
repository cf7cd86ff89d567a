//! `turnpike-bench`: measures the programs that `run.sh` has built, and writes the figures down.

mod clients;
mod error;
mod load;
mod machine;
mod report;
mod sizes;
mod start;
mod statistics;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::BenchError;
use crate::load::Load;
use crate::report::Figures;

/// Measures Turnpike.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything, print it and write it into a Markdown file
    Report(Inputs),
    /// Send requests to a server and print what came of it, as JSON
    Load(Load),
}

/// What is measured.
#[derive(Args)]
struct Inputs {
    /// The folder with <program>/bootstrap for each function, hello and client-start
    #[arg(long, value_name = "DIR")]
    bootstraps: PathBuf,
    /// The program turnpike-local, in its release build
    #[arg(long, value_name = "FILE")]
    local: PathBuf,
    /// What `make package` printed
    #[arg(long, value_name = "FILE")]
    packages: PathBuf,
    /// The Markdown file whose figures are replaced
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Report(inputs) => report(inputs).await,
        Command::Load(load) => print_load(load).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command-line program")]
            {
                eprintln!("turnpike-bench: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn report(inputs: Inputs) -> Result<(), BenchError> {
    let keys = start::signing_keys(&inputs.local).await?;
    let figures = Figures {
        machine: machine::describe()?,
        start: start::measure(&inputs.bootstraps, &keys).await?,
        clients: clients::measure(&inputs.bootstraps).await?,
        sizes: sizes::read_sizes(&inputs.packages)?,
        throughput: throughput::measure(&inputs.local).await?,
    };
    let text = figures.to_markdown();
    #[expect(clippy::print_stdout, reason = "this is what the person reads")]
    {
        println!("{text}");
    }
    report::write(&inputs.into, &text)
}

async fn print_load(load: Load) -> Result<(), BenchError> {
    let outcome = load.run().await?;
    let json = serde_json::to_string(&outcome)
        .map_err(|error| BenchError::Unreadable("the outcome".into(), error.to_string()))?;
    #[expect(clippy::print_stdout, reason = "the report reads it")]
    {
        println!("{json}");
    }
    Ok(())
}
