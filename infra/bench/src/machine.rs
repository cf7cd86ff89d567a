//! What the figures were measured on and with. Linux tells it under `/proc`.

use std::process::Command;

use crate::error::{BenchError, read};

/// The crates whose version bears on the figures.
const CRATES: [&str; 11] = [
    "lambda_http",
    "lambda_runtime",
    "aws-sdk-dynamodb",
    "aws-smithy-http-client",
    "axum",
    "tokio",
    "hyper",
    "rustls",
    "aws-lc-rs",
    "argon2",
    "dynoxide-rs",
];

/// A label and what belongs to it.
pub(crate) type Line = (&'static str, String);

/// The machine, the compiler and the crates. `Cargo.lock` is read from the current folder.
pub(crate) fn describe() -> Result<Vec<Line>, BenchError> {
    let cpu = read("/proc/cpuinfo")?;
    let memory = read("/proc/meminfo")?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let lock = read("Cargo.lock")?;
    let model = value(&cpu, "model name").unwrap_or(std::env::consts::ARCH);
    let cores = std::thread::available_parallelism()?;
    let crates: Vec<String> = CRATES
        .iter()
        .filter_map(|name| Some(format!("{name} {}", version(&lock, name)?)))
        .collect();
    Ok(vec![
        ("CPU", format!("{model}, {cores} cores")),
        (
            "Memory",
            format!("{} GiB", gibibytes(&memory).unwrap_or_default()),
        ),
        ("Kernel", format!("Linux {}", kernel.trim())),
        ("Compiler", rustc()?),
        ("Crates", crates.join(", ")),
    ])
}

/// The value of the first line `name : value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(label, _)| label.trim() == name)?;
    Some(value.trim())
}

fn gibibytes(meminfo: &str) -> Option<u64> {
    let kibibytes = value(meminfo, "MemTotal")?.strip_suffix(" kB")?;
    let kibibytes: u64 = kibibytes.parse().ok()?;
    Some((kibibytes + (1 << 19)) >> 20)
}

/// The newest version of a crate in a lock file, which lists versions in ascending order.
fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let after = lock.rsplit_once(&format!("name = \"{name}\"\nversion = \""))?;
    after.1.split('"').next()
}

fn rustc() -> Result<String, BenchError> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| BenchError::Program("rustc".into(), error))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_found_by_its_whole_name() {
        let lock =
            "name = \"tokio-util\"\nversion = \"0.7.1\"\n\nname = \"tokio\"\nversion = \"1.2.3\"\n";

        assert_eq!(version(lock, "tokio"), Some("1.2.3"));
        assert_eq!(version(lock, "toki"), None);
    }

    #[test]
    fn memory_is_rounded_to_whole_gibibytes() {
        assert_eq!(gibibytes("MemTotal:       24684000 kB\n"), Some(24));
    }
}
