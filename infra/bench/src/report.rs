//! The figures as Markdown, and their place in the documentation.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::admission::Admission;
use crate::clients::ClientStart;
use crate::engines::Decisions;
use crate::error::{BenchError, read};
use crate::load::Outcome;
use crate::machine::Line;
use crate::memory::Memory;
use crate::query::{Hit, Queries, Trace};
use crate::sizes::Size;
use crate::start::{HELLO, RUNS, Start};
use crate::statistics::Sample;
use crate::throughput::Throughput;
use crate::usage::SummedUp;
use crate::writes::Writes;

/// A part of the documentation that a command writes anew.
#[derive(Clone, Copy)]
pub(crate) enum Block {
    All,
    Admission,
    Usage,
    Query,
}

impl Block {
    fn name(self) -> &'static str {
        match self {
            Self::All => "figures of `make bench`",
            Self::Admission => "figures of `make bench-admission`",
            Self::Usage => "figures of `make bench-usage`",
            Self::Query => "figures of `make bench-query`",
        }
    }
}

/// How many times as long as `hello` a function may take to start.
const START_GOAL: f64 = 1.5;
/// How many times as long as GCRA's script the engine on Valkey may take, at the median.
const VALKEY_GOAL: f64 = 1.3;
/// Requests that a second of processor time is to be enough for, with limits on Valkey.
const REQUESTS_GOAL: f64 = 12_000.0;
/// The processor time that one may take, in microseconds.
const CPU_GOAL: f64 = 100.0;

/// How much of a trace of queries the cache is to answer, in percent.
const HITS_GOAL: f64 = 95.0;

/// How many writes a request may cost: to be recorded, and with limits on Valkey in all.
const WRITES_GOAL: f64 = 0.1;

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

impl Admission {
    pub(crate) fn to_markdown(&self, measured_on: &[Line]) -> String {
        [
            machine(measured_on),
            engines(&self.engines),
            routes(&self.routes),
            writes(&self.writes),
            memory(&self.memory),
        ]
        .join("\n")
    }
}

impl Queries {
    pub(crate) fn to_markdown(&self, measured_on: &[Line]) -> String {
        [
            machine(measured_on),
            tiers(&self.cached.tiers, &self.upstream),
            trace(&self.cached.trace),
            queries(&self.routes),
        ]
        .join("\n")
    }
}

/// How usage is summed up.
pub(crate) fn usage(measured_on: &[Line], figures: &[SummedUp]) -> String {
    let mut text = String::from(
        "| a slice of usage, summed up whole | users | time | records a second | memory at most | more than before |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for figure in figures {
        let (before, most) = (figure.kibibytes_before, figure.kibibytes_at_most);
        let mebibytes = |kibibytes: u32| f64::from(kibibytes) / 1024.0;
        let _ = writeln!(
            text,
            "| {} records | {} | {:.2} s | {:.0} | {:.1} MiB | {:.1} MiB |",
            figure.records,
            figure.users,
            figure.seconds,
            f64::from(figure.records) / figure.seconds,
            mebibytes(most),
            mebibytes(most.saturating_sub(before)),
        );
    }
    [machine(measured_on), text].join("\n")
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
        "| start, {RUNS} runs each | median | p95 | of hello | goal: at most {START_GOAL:.1} |\n\
         |---|---:|---:|---:|---|\n"
    );
    let hello = starts.iter().find(|start| start.function == HELLO);
    let hello = hello.map(|hello| hello.times.median().as_secs_f64());
    for start in starts {
        let median = start.times.median();
        let of_hello = hello.map_or(f64::NAN, |hello| median.as_secs_f64() / hello);
        let goal = match start.function {
            HELLO => "-",
            _ => met(of_hello <= START_GOAL),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {of_hello:.2} | {goal} |",
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

fn engines(decisions: &[Decisions]) -> String {
    let mut text = format!(
        "| decisions | at a time | per second | p50 | p99 | p50 of GCRA's | goal: at most {VALKEY_GOAL:.1} |\n\
         |---|---:|---:|---:|---:|---:|---|\n"
    );
    for decision in decisions {
        let label = match decision.way.as_str() {
            "increment" => "`INCR`, for comparison",
            "gcra" => "GCRA on one key (`infra/bench/src/gcra.lua`), for comparison",
            "memory" => "engine in memory, without standing",
            "dynamodb" => "engine on DynamoDB (embedded, over HTTP, on the same core)",
            _ => "engine on Valkey",
        };
        let gcra = decisions
            .iter()
            .find(|other| other.way == "gcra" && other.concurrency == decision.concurrency);
        let p50 = Duration::from_nanos(decision.p50_nanos);
        let of_gcra = gcra.map_or(f64::NAN, |gcra| {
            p50.as_secs_f64() / Duration::from_nanos(gcra.p50_nanos).as_secs_f64()
        });
        let goal = match decision.way.as_str() {
            "valkey" => met(of_gcra <= VALKEY_GOAL),
            _ => "-",
        };
        let _ = writeln!(
            text,
            "| {label} | {} | {:.0} | {} | {} | {of_gcra:.2} | {goal} |",
            decision.concurrency,
            decision.per_second,
            micros(p50),
            micros(Duration::from_nanos(decision.p99_nanos)),
        );
    }
    text
}

fn routes(routes: &[(&str, Outcome)]) -> String {
    let mut text = format!(
        "| `GET /api/v1/auth/me`, 16 connections, one core | per second | p50 | p99 | server's cores | CPU of a request | per CPU second | goal: {REQUESTS_GOAL:.0}, {CPU_GOAL:.0} µs |\n\
         |---|---:|---:|---:|---:|---:|---:|---|\n"
    );
    for (label, outcome) in routes {
        let (cpu, per_second) = (outcome.cpu_micros_per_request(), outcome.per_cpu_second());
        let goal = if label.ends_with("Valkey") {
            met(per_second >= REQUESTS_GOAL && cpu < CPU_GOAL)
        } else {
            "-"
        };
        let _ = writeln!(
            text,
            "| {label} | {:.0} | {} | {} | {:.2} | {cpu:.1} µs | {per_second:.0} | {goal} |",
            outcome.per_second,
            micros(Duration::from_micros(outcome.p50_micros)),
            micros(Duration::from_micros(outcome.p99_micros)),
            outcome.server_cores,
        );
    }
    text
}

fn tiers(tiers: &[Hit], upstream: &Sample) -> String {
    let mut text = String::from("| an answer from | p50 | p99 |\n|---|---:|---:|\n");
    for tier in tiers {
        let label = match (tier.tier.as_str(), tier.has_valkey) {
            ("memory", true) => "memory, asked of Valkey whether it still holds",
            ("memory", false) => "memory, asked of DynamoDB whether it still holds",
            ("valkey", _) => "Valkey",
            _ => "DynamoDB (embedded, over HTTP, on the same core)",
        };
        let (p50, p99) = (tier.p50_nanos, tier.p99_nanos);
        let [p50, p99] = [p50, p99].map(|nanos| micros(Duration::from_nanos(nanos)));
        let _ = writeln!(text, "| {label} | {p50} | {p99} |");
    }
    let [p50, p99] = [upstream.median(), upstream.percentile(99)].map(micros);
    let _ = writeln!(text, "| the sample upstream, over HTTP | {p50} | {p99} |");
    text
}

fn trace(trace: &Trace) -> String {
    let Trace {
        queries,
        distinct,
        instances,
        at_a_time,
        misses,
        calls,
        most_calls_of_a_query: most,
        seconds,
    } = trace;
    let hits = 100.0 * (1.0 - f64::from(*misses) / f64::from(*queries));
    let goal = met(hits > HITS_GOAL && *most <= 1);
    format!(
        "| a trace of queries (Zipf) | different | at a time, over instances | answered by the cache | calls of the upstream | of one query at most | time | goal: {HITS_GOAL:.0} %, one call |\n\
         |---:|---:|---:|---:|---:|---:|---:|---|\n\
         | {queries} | {distinct} | {at_a_time}, {instances} | {hits:.2} % | {calls} | {most} | {seconds:.1} s | {goal} |\n"
    )
}

fn queries(routes: &[(&str, Outcome)]) -> String {
    let mut text = String::from(
        "| `POST /api/v1/query`, cached, 16 connections, one core | per second | p50 | p99 | server's cores | CPU of a request | per CPU second |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (label, outcome) in routes {
        let _ = writeln!(
            text,
            "| limits and cache {label} | {:.0} | {} | {} | {:.2} | {:.1} µs | {:.0} |",
            outcome.per_second,
            micros(Duration::from_micros(outcome.p50_micros)),
            micros(Duration::from_micros(outcome.p99_micros)),
            outcome.server_cores,
            outcome.cpu_micros_per_request(),
            outcome.per_cpu_second(),
        );
    }
    text
}

fn writes(writes: &[Writes]) -> String {
    let mut text = format!(
        "| writes to DynamoDB for each of `GET /api/v1/auth/me`, counted | requests | to admit it | to record it | goal: less than {WRITES_GOAL:.1} |\n\
         |---|---:|---:|---:|---|\n"
    );
    for Writes {
        limits_on,
        requests,
        admission,
        records,
    } in writes
    {
        let each = |writes: u32| f64::from(writes) / f64::from(*requests);
        let goal = match *limits_on {
            "Valkey" => met(each(admission + records) < WRITES_GOAL),
            _ => met(each(*records) < WRITES_GOAL),
        };
        let _ = writeln!(
            text,
            "| limits on {limits_on} | {requests} | {:.3} | {:.3} | {goal} |",
            each(*admission),
            each(*records),
        );
    }
    text
}

fn memory(memory: &Memory) -> String {
    let mut text = format!(
        "| memory, {} users, limits on Valkey | resident | more than at first |\n|---|---:|---:|\n",
        memory.users
    );
    let mebibytes = |kibibytes: u32| f64::from(kibibytes) / 1024.0;
    let first = memory
        .looks
        .first()
        .map_or(0.0, |look| mebibytes(look.kibibytes));
    for look in &memory.looks {
        let now = mebibytes(look.kibibytes);
        let _ = writeln!(
            text,
            "| after {} requests | {now:.1} MiB | {:.1} MiB |",
            look.requests,
            now - first,
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

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1_000_000.0)
}

/// Replaces what stands between the two marks of a block in a file.
pub(crate) fn write(file: &Path, block: Block, text: &str) -> Result<(), BenchError> {
    let old = read(file)?;
    let new = replaced(&old, block, text).ok_or_else(|| {
        let what = format!("the marks around the {} are missing", block.name());
        BenchError::Unreadable(file.display().to_string(), what)
    })?;
    std::fs::write(file, new).map_err(|error| BenchError::File(file.to_owned(), error))
}

fn replaced(old: &str, block: Block, text: &str) -> Option<String> {
    let name = block.name();
    let (begin, end) = (
        format!("<!-- begin: {name} -->\n"),
        format!("<!-- end: {name} -->"),
    );
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_a_blocks_own_marks_is_replaced() {
        let page = |all: &str, admission: &str| {
            format!(
                "before\n<!-- begin: figures of `make bench` -->\n{all}<!-- end: figures of `make bench` -->\n\
                 between\n<!-- begin: figures of `make bench-admission` -->\n{admission}\
                 <!-- end: figures of `make bench-admission` -->\nafter\n"
            )
        };

        let new = replaced(&page("\nold\n", "\nold\n"), Block::Admission, "| new |\n").unwrap();

        assert_eq!(new, page("\nold\n", "\n| new |\n\n"));
        let again = replaced(&new, Block::All, "| all |\n").unwrap();
        assert_eq!(again, page("\n| all |\n\n", "\n| new |\n\n"));
        assert_eq!(replaced("no marks", Block::All, "| new |\n"), None);
    }
}
