//! `turnpike-local`: the whole of Turnpike on this machine.

mod check_policy;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use turnpike_local::{Engine, Options, Stack, openapi, signing_keys_document};
use turnpike_shared::admission::Budgets;
use turnpike_shared::auth::{Algorithm, PasswordHasher};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, Environment};
use turnpike_shared::errors::chain;
use turnpike_shared::telemetry;

/// Runs Turnpike on this machine: every function, DynamoDB and a mailbox in one process.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:3000")]
    addr: SocketAddr,
    /// The folder to keep the data in; without it everything is gone at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The DynamoDB to work on: embedded, the http address of an engine, or aws
    #[arg(long, default_value = "embedded", value_name = "embedded|URL|aws")]
    dynamodb: Engine,
    /// The Valkey or Redis to decide limits with, such as <redis://127.0.0.1:6379>
    #[arg(long, value_name = "URL")]
    valkey: Option<String>,
    /// The policy of tiers and limits instead of the built-in one; read again when it changes
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the OpenAPI document of all functions
    Openapi,
    /// Print a new document of signing keys, for the secret that `auth` reads. Secret!
    SigningKeys {
        #[arg(long, value_enum, default_value = "rs256")]
        algorithm: KeyKind,
        /// The stage that they are for, such as <https://api.example.com>; one that is deployed takes
        /// no others
        #[arg(long)]
        issuer: Option<String>,
    },
    /// Check a policy file and print its limits, or which field is wrong
    CheckPolicy {
        file: PathBuf,
        /// Print the item that `make policy` puts into the admission table instead
        #[arg(long)]
        item: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyKind {
    Rs256,
    Es256,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Openapi) => print_openapi(),
        Some(Command::SigningKeys { algorithm, issuer }) => {
            print_signing_keys(algorithm, issuer.as_deref())
        }
        Some(Command::CheckPolicy { file, item: false }) => print_policy(&file),
        Some(Command::CheckPolicy { file, item: true }) => print_policy_item(&file),
        None => run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command-line program")]
            {
                eprintln!("turnpike-local: {}", chain(error.as_ref()));
            }
            ExitCode::FAILURE
        }
    }
}

fn print_openapi() -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::print_stdout, reason = "this is a command-line program")]
    {
        println!("{}", serde_json::to_string_pretty(&openapi::document()?)?);
    }
    Ok(())
}

fn print_signing_keys(
    kind: KeyKind,
    issuer: Option<&str>,
) -> Result<(), Box<dyn std::error::Error>> {
    let algorithm = match kind {
        KeyKind::Rs256 => Algorithm::RS256,
        KeyKind::Es256 => Algorithm::ES256,
    };
    #[expect(clippy::print_stdout, reason = "this is a command-line program")]
    {
        println!(
            "{}",
            signing_keys_document(algorithm, issuer)?.expose_secret()
        );
    }
    Ok(())
}

fn print_policy(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::print_stdout, reason = "this is a command-line program")]
    {
        print!("{}", check_policy::summary(file)?);
    }
    Ok(())
}

fn print_policy_item(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::print_stdout, reason = "this is a command-line program")]
    {
        println!("{}", check_policy::item(file)?);
    }
    Ok(())
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let env = Environment::of_process();
    // The terminal shows what went wrong; TURNPIKE_LOG=info shows every request as well.
    // The embedded engine calls every condition that did not hold a warning.
    let env = env.or("TURNPIKE_LOG", "warn,dynoxide=error");
    telemetry::init(&config::log_filter(&env)?);
    let keeps_data = arguments.data.is_some() || arguments.dynamodb != Engine::Embedded;
    let stack = Stack::start(Options {
        addr: arguments.addr,
        data: arguments.data,
        engine: arguments.dynamodb,
        valkey: arguments.valkey,
        policy: arguments.policy,
        budgets: Budgets::default(),
        env,
        clock: Clock::system(),
        hasher: PasswordHasher::new(),
    })
    .await?;
    // Before anybody is told that it runs: from then on it may be told to end.
    let interrupts = Interrupts::listen()?;
    greet(&stack, keeps_data);
    interrupts.received().await;
    stack.stop().await;
    Ok(())
}

/// The word to end: Ctrl-C, or SIGTERM from whoever runs this.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Listens from now on.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn received(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A sign-in that works as it is pasted, whatever the password is made of.
fn curl_line(base: &str, email: &str, password: &str) -> String {
    let body = serde_json::json!({"email": email, "password": password}).to_string();
    let quoted = body.replace('\'', r"'\''");
    format!("curl -s {base}/api/v1/auth/login -H 'content-type: application/json' -d '{quoted}'")
}

#[expect(
    clippy::print_stdout,
    reason = "this is what the person at the terminal reads"
)]
fn greet(stack: &Stack, keeps_data: bool) {
    let base = &stack.base;
    println!("Turnpike is at {base} (reference: {base}/docs)");
    if let Some(admin) = &stack.admin {
        println!("\n  admin     {}", admin.email);
        if let Some(password) = &admin.password {
            let password = password.expose_secret();
            println!("  password  {password}");
            println!("\nTry it:\n");
            println!("  {}", curl_line(base, &admin.email, password));
        } else {
            println!("  password  as it was set when the account was made");
            println!("\nTry it:\n\n  curl -s {base}/health");
        }
    } else {
        println!("\nTry it:\n\n  curl -s {base}/health");
    }
    match &stack.mailbox {
        Some(mailbox) => println!("\nMails are at {mailbox}"),
        None => println!(
            "\nNo mailbox and no invoke path: they need the embedded engine and a loopback address."
        ),
    }
    if !keeps_data {
        println!("Everything is kept in memory; --data DIR keeps it.");
    }
    println!("Ctrl-C ends it.");
}
