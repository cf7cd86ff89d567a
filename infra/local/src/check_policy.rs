//! `turnpike-local check-policy`: whether a file is a policy, and what it would mean.
//!
//! It decides nothing of its own: the functions read a policy with the same code.

use std::fmt::{Display, Write as _};
use std::path::Path;

use turnpike_shared::clock::Clock;
use turnpike_shared::limits::policy::{ClassPolicy, Policy, TierPolicy};
use turnpike_shared::stores::policy_item_document;

/// What `check-policy` prints of a valid policy.
pub(crate) fn summary(file: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let (_, policy) = read(file)?;
    Ok(describe(&policy)?)
}

/// The item of the admission table that puts a valid policy in force, as the AWS CLI takes it.
pub(crate) fn item(file: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let (text, _) = read(file)?;
    Ok(policy_item_document(&text, Clock::system().now()).to_string())
}

fn read(file: &Path) -> Result<(String, Policy), Box<dyn std::error::Error>> {
    let named = |error: &dyn Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    let policy = Policy::parse(&text).map_err(|error| named(&error))?;
    Ok((text, policy))
}

fn describe(policy: &Policy) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "This policy is valid (digest {}).\n\ntiers\n",
        policy.digest()
    );
    for (name, tier) in policy.tiers() {
        writeln!(text, "  {name:<12} {}", tier_line(tier))?;
    }
    text.push_str("\nclasses\n");
    for (name, class) in policy.classes() {
        writeln!(text, "  {name:<12} {}", class_line(class))?;
    }
    let upstreams: Vec<&str> = policy.upstreams().map(|(name, _)| name).collect();
    if !upstreams.is_empty() {
        writeln!(text, "\nupstreams\n  {}", upstreams.join(", "))?;
    }
    Ok(text)
}

fn tier_line(tier: &TierPolicy) -> String {
    let limits = [
        (tier.hour, "/hour"),
        (tier.day, "/day"),
        (tier.month, "/month"),
        (tier.concurrent_jobs, " jobs at a time"),
    ];
    let limited = limits
        .iter()
        .filter_map(|(limit, of)| limit.map(|limit| format!("{limit}{of}")));
    let limited: Vec<String> = limited.collect();
    let mut line = if limited.is_empty() {
        "unlimited".to_owned()
    } else {
        limited.join(", ")
    };
    if !tier.features.is_empty() {
        line = line + "; " + &tier.features.join(", ");
    }
    line
}

fn class_line(class: &ClassPolicy) -> String {
    let limits = class
        .limits
        .iter()
        .map(|limit| format!("{} per {} ({})", limit.rate, limit.per, limit.name));
    let limits = limits.collect::<Vec<_>>().join(", ");
    let limits = if limits.is_empty() {
        "the tier's limits only"
    } else {
        &limits
    };
    format!("{limits}; {}, {} on outage", class.mode, class.on_outage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_every_limit() {
        let text = "version = 1\n[tiers.anonymous]\nhour = 60\nconcurrent_jobs = 0\n\
                    [tiers.free]\nfeatures = [\"priority\"]\n[classes.query]\n\
                    limits = [\"5/900s\"]\nmode = \"shadow\"\n[upstreams.library]\n\
                    base_url = \"https://library.example.com\"\n";
        let policy = Policy::parse(text).unwrap();

        let summary = describe(&policy).unwrap();

        for line in [
            "  anonymous    60/hour, 0 jobs at a time\n",
            "  free         unlimited; priority\n",
            "  default      the tier's limits only; enforce, open on outage\n",
            "  query        5/900s per user (query); shadow, open on outage\n",
            "  register     20/hour per ip (register); enforce, closed on outage\n",
            "\nupstreams\n  library\n",
        ] {
            assert!(summary.contains(line), "{line}\n{summary}");
        }
    }

    #[test]
    fn a_file_that_is_no_policy_is_refused_with_its_name_and_the_field() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "version = 1\n[tiers.free]\nhour = -1\n").unwrap();

        for refused in [summary(&file), item(&file)] {
            let refused = refused.unwrap_err().to_string();
            assert!(
                refused.contains("mine.toml: tiers.free.hour: "),
                "{refused}"
            );
        }
    }
}
