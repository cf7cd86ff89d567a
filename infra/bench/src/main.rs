//! `turnpike-bench`: measures the programs that `run.sh` has built, and writes the figures down.

mod admission;
mod clients;
mod engines;
mod error;
mod load;
mod machine;
mod memory;
mod query;
mod report;
mod server;
mod sizes;
mod start;
mod statistics;
mod throughput;
mod usage;
mod wire;
mod writes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::admission::Programs;
use crate::error::BenchError;
use crate::load::Load;
use crate::memory::Steady;
use crate::query::QueryPrograms;
use crate::report::{Block, Figures};

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
    /// Measure what admission costs, print it and, if a file is given, write it there
    Admission {
        #[command(flatten)]
        programs: Programs,
        /// The Markdown file whose figures of admission are replaced
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
    /// Measure how usage is summed up, print it and, if a file is given, write it there
    Usage {
        /// The program rollup
        #[arg(long, value_name = "FILE")]
        rollup: PathBuf,
        /// The Markdown file whose figures of usage are replaced
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
    /// Measure what a cached query costs, print it and, if a file is given, write it there
    Query {
        #[command(flatten)]
        programs: QueryPrograms,
        /// The Markdown file whose figures of queries are replaced
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
    /// Send requests to a server and print what came of it, as JSON
    Load(Load),
    /// Send a million requests to a server and print what memory it had meanwhile, as JSON
    Steady(Steady),
}

/// What is measured.
#[derive(Args)]
struct Inputs {
    /// The folder with <program>/bootstrap for each function, hello and client-start
    #[arg(long, value_name = "DIR")]
    bootstraps: PathBuf,
    #[command(flatten)]
    programs: Programs,
    /// The program rollup
    #[arg(long, value_name = "FILE")]
    rollup: PathBuf,
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
        Command::Admission { programs, into } => admission(&programs, into.as_deref()).await,
        Command::Usage { rollup, into } => usage(&rollup, into.as_deref()).await,
        Command::Query { programs, into } => query(&programs, into.as_deref()).await,
        Command::Load(load) => print(load.run().await),
        Command::Steady(steady) => print(steady.run().await),
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
    let local = &inputs.programs.local;
    let keys = start::signing_keys(local).await?;
    let figures = Figures {
        machine: machine::describe()?,
        start: start::measure(&inputs.bootstraps, &keys).await?,
        clients: clients::measure(&inputs.bootstraps).await?,
        sizes: sizes::read_sizes(&inputs.packages)?,
        throughput: throughput::measure(local).await?,
    };
    let text = figures.to_markdown();
    show(&text);
    report::write(&inputs.into, Block::All, &text)?;
    admission(&inputs.programs, Some(&inputs.into)).await?;
    usage(&inputs.rollup, Some(&inputs.into)).await
}

async fn usage(rollup: &Path, into: Option<&Path>) -> Result<(), BenchError> {
    let machine = machine::describe()?;
    let text = report::usage(&machine, &usage::measure(rollup).await?);
    show(&text);
    match into {
        Some(file) => report::write(file, Block::Usage, &text),
        None => Ok(()),
    }
}

async fn query(programs: &QueryPrograms, into: Option<&Path>) -> Result<(), BenchError> {
    let machine = machine::describe()?;
    let text = programs.measure().await?.to_markdown(&machine);
    show(&text);
    match into {
        Some(file) => report::write(file, Block::Query, &text),
        None => Ok(()),
    }
}

async fn admission(programs: &Programs, into: Option<&Path>) -> Result<(), BenchError> {
    let machine = machine::describe()?;
    let text = programs.measure().await?.to_markdown(&machine);
    show(&text);
    match into {
        Some(file) => report::write(file, Block::Admission, &text),
        None => Ok(()),
    }
}

fn show(text: &str) {
    #[expect(clippy::print_stdout, reason = "this is what the person reads")]
    {
        println!("{text}");
    }
}

/// Hands findings on to the process that wants them.
fn print(findings: Result<impl serde::Serialize, BenchError>) -> Result<(), BenchError> {
    let json = serde_json::to_string(&findings?)
        .map_err(|error| BenchError::Unreadable("the findings".into(), error.to_string()))?;
    show(&json);
    Ok(())
}
