//! The figures as Markdown, and their place in the documentation.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::clients::ClientStart;
use crate::error::{BenchError, read};
use crate::load::Outcome;
use crate::machine::Line;
use crate::sizes::Size;
use crate::start::{Endpoint, RUNS, Start};
use crate::throughput::Throughput;

const BEGIN: &str = "<!-- begin: figures of `make bench` -->\n";
const END: &str = "<!-- end: figures of `make bench` -->";

/// How many times as long as `hello` a function may take to start.
const START_GOAL: f64 = 1.5;

/// Everything that was measured.
pub(crate) struct Figures {
    pub(crate) machine: Vec<Line>,
    pub(crate) start: Vec<Start>,
    pub(crate) clients: Vec<ClientStart>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) throughput: Throughput,
}

impl Figures {
    pub(crate) fn to_markdown(&self) -> String {
        [
            machine(&self.machine),
            start(&self.start),
            clients(&self.clients),
            sizes(&self.sizes),
            throughput(&self.throughput),
        ]
        .join("\n")
    }
}

fn machine(lines: &[Line]) -> String {
    let mut text = String::from("| measured on | |\n|---|---|\n");
    for (label, value) in lines {
        let _ = writeln!(text, "| {label} | {value} |");
    }
    text
}

fn start(starts: &[Start]) -> String {
    let mut text = format!(
        "| start, {RUNS} runs each | DynamoDB | median | p95 | of hello | goal: at most {START_GOAL:.1} |\n\
         |---|---|---:|---:|---:|---|\n"
    );
    let hello = starts.iter().find(|start| start.function == "hello");
    let hello = hello.map(|hello| hello.times.median().as_secs_f64());
    for start in starts {
        let median = start.times.median();
        let of_hello = hello.map_or(f64::NAN, |hello| median.as_secs_f64() / hello);
        let (endpoint, goal) = match start.endpoint {
            Endpoint::None => ("-", "-"),
            Endpoint::Plain => ("an http:// endpoint", met(of_hello <= START_GOAL)),
            Endpoint::Region => ("the region's https endpoint", met(of_hello <= START_GOAL)),
        };
        let _ = writeln!(
            text,
            "| `{}` | {endpoint} | {} | {} | {of_hello:.2} | {goal} |",
            start.function,
            millis(median),
            millis(start.times.percentile(95)),
        );
    }
    text
}

fn clients(clients: &[ClientStart]) -> String {
    let mut text = format!(
        "| DynamoDB client, {RUNS} runs each | made: median | p95 | with credentials: median | p95 |\n\
         |---|---:|---:|---:|---:|\n"
    );
    for client in clients {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            client.way,
            millis(client.made.median()),
            millis(client.made.percentile(95)),
            millis(client.credentials.median()),
            millis(client.credentials.percentile(95)),
        );
    }
    text
}

fn sizes(sizes: &[Size]) -> String {
    let mut text =
        String::from("| zip of a function (arm64) | size | goal | |\n|---|---:|---:|---|\n");
    for size in sizes {
        let goal = if size.function == "AuthFunction" {
            5.0
        } else {
            4.0
        };
        let _ = writeln!(
            text,
            "| `{}` | {:.2} MB | {goal:.0} MB | {} |",
            size.function,
            size.megabytes,
            met(size.megabytes <= goal),
        );
    }
    text
}

fn throughput(throughput: &Throughput) -> String {
    let mut text = String::from(
        "| local stack | per second | p50 | p99 | cores busy: server | load generator |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let rows = [
        (
            "`POST /api/v1/auth/login`, 4 connections, every core",
            &throughput.sign_ins,
        ),
        (
            "`GET /api/v1/auth/me`, 16 connections, server on one core",
            &throughput.me,
        ),
    ];
    for (label, outcome) in rows {
        let Outcome {
            per_second,
            p50_micros,
            p99_micros,
            server_cores,
            generator_cores,
        } = outcome;
        let _ = writeln!(
            text,
            "| {label} | {per_second:.0} | {} | {} | {server_cores:.2} | {generator_cores:.2} |",
            millis(Duration::from_micros(*p50_micros)),
            millis(Duration::from_micros(*p99_micros)),
        );
    }
    text
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Replaces what stands between the two marks of a file.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), BenchError> {
    let old = read(file)?;
    let new = replaced(&old, text).ok_or_else(|| {
        let what = "the marks around the figures are missing".to_owned();
        BenchError::Unreadable(file.display().to_string(), what)
    })?;
    std::fs::write(file, new).map_err(|error| BenchError::File(file.to_owned(), error))
}

fn replaced(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");

        let new = replaced(&old, "| new |\n").unwrap();

        assert_eq!(new, format!("before\n{BEGIN}\n| new |\n\n{END}\nafter\n"));
        assert_eq!(replaced(&new, "| new |\n"), Some(new.clone()));
        assert_eq!(replaced("no marks", "| new |\n"), None);
    }
}
