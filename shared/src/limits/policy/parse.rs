//! From the text of a policy to its parts: the one place that knows the file as a whole.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde::Deserialize;

use super::class::{Classes, GivenClass};
use super::read::{Name, maybe_whole};
use super::tier::{TierPolicy, Tiers};
use super::upstream::GivenUpstream;
use super::{AccessPolicy, CacheTtls, MAX_BYTES, Policy, PolicyError};

/// The version of the format that this release reads.
const VERSION: u64 = 1;

/// A policy as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, deserialize_with = "maybe_whole::<VERSION, VERSION, _, _>")]
    version: Option<u64>,
    #[serde(default)]
    access: AccessPolicy,
    #[serde(default)]
    tiers: BTreeMap<Name, TierPolicy>,
    #[serde(default)]
    classes: BTreeMap<Name, GivenClass>,
    #[serde(default)]
    upstreams: BTreeMap<Name, GivenUpstream>,
    #[serde(default)]
    cache_ttls: CacheTtls,
}

/// Reads a policy; classes that it leaves out are those of `built_in`.
pub(super) fn policy(text: &str, built_in: Option<&Policy>) -> Result<Policy, PolicyError> {
    if text.len() > MAX_BYTES {
        return Err(PolicyError::TooLong { bytes: text.len() });
    }
    let file = file(text)?;
    let version = file
        .version
        .ok_or_else(|| PolicyError::missing("version", format!("the number {VERSION}")))?;
    let tiers = Tiers::new(file.tiers)?;
    let classes = Classes::new(file.classes, built_in.map(|policy| &policy.classes))?;
    let mut upstreams = BTreeMap::new();
    for (name, upstream) in file.upstreams {
        let upstream = upstream.checked(name.as_str(), &classes, &file.cache_ttls)?;
        upstreams.insert(String::from(name), upstream);
    }
    Ok(Policy {
        version,
        digest: digest_of(text),
        tiers,
        classes,
        access: file.access,
        upstreams,
        cache_ttls: file.cache_ttls,
    })
}

fn file(text: &str) -> Result<File, PolicyError> {
    let toml =
        toml::Deserializer::parse(text).map_err(|error| PolicyError::syntax(text, &error))?;
    serde_path_to_error::deserialize(toml).map_err(|error| {
        let path = error.path().to_string();
        // A header may hold what only looks harmless, and errors end in logs.
        if path.starts_with("upstreams.") && path.contains(".headers") {
            let problem = "it should be a table of header names and their values, in visible \
                           ASCII characters";
            return PolicyError::field(path, problem);
        }
        PolicyError::field(path, error.inner().message())
    })
}

/// The first 64 bits of the SHA-256, in hex: enough to tell the policies of one stage apart.
fn digest_of(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let first = digest.as_ref().iter().take(8);
    let number = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}
