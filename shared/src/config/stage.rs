//! The stage: what it is called, where it stands, and which origins may call it from a browser.

use std::fmt;

use http::Uri;

use super::{ConfigError, Environment, variables};
use crate::auth::KeyKind;

const DEFAULT_ISSUER: &str = "http://127.0.0.1:3000";

/// The kind of stage this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Development,
    Testing,
    Staging,
    Production,
}

impl Stage {
    /// Whether strangers reach it, so that nothing may be lax.
    pub const fn is_deployed(self) -> bool {
        matches!(self, Self::Staging | Self::Production)
    }

    /// The kind of API key that is made here: only production's are live.
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::Production => KeyKind::Live,
            Self::Development | Self::Testing | Self::Staging => KeyKind::Test,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Testing => "testing",
            Self::Staging => "staging",
            Self::Production => "production",
        })
    }
}

/// Which browsers' pages may call.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    pub origins: Vec<String>,
    pub allow_credentials: bool,
}

/// What every function needs to know of its stage.
#[derive(Clone, Debug)]
pub struct StageConfig {
    pub stage: Stage,
    /// The stage's own origin: the issuer of its tokens and the base of its links.
    pub issuer: String,
    pub cors: Cors,
}

impl StageConfig {
    pub fn read(env: &Environment) -> Result<Self, ConfigError> {
        let stage = match env.required(&variables::ENVIRONMENT)? {
            "development" => Stage::Development,
            "testing" => Stage::Testing,
            "staging" => Stage::Staging,
            "production" => Stage::Production,
            other => return Err(variables::ENVIRONMENT.error(format!("it is {other:?}"))),
        };
        let issuer = match env.get(&variables::ISSUER) {
            None if stage.is_deployed() => {
                return Err(variables::ISSUER.error("it is not set"));
            }
            None => DEFAULT_ISSUER,
            Some(issuer) => issuer,
        };
        origin(issuer, stage).map_err(|problem| variables::ISSUER.error(problem))?;
        Ok(Self {
            stage,
            issuer: issuer.to_owned(),
            cors: cors(env, stage)?,
        })
    }

    /// The host in the issuer, without a port.
    pub fn host(&self) -> String {
        let uri = self.issuer.parse::<Uri>().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned))
            .unwrap_or_default()
    }
}

fn cors(env: &Environment, stage: Stage) -> Result<Cors, ConfigError> {
    let allow_credentials = match env
        .get(&variables::CORS_ALLOW_CREDENTIALS)
        .unwrap_or("false")
    {
        "true" => true,
        "false" => false,
        other => {
            return Err(variables::CORS_ALLOW_CREDENTIALS.error(format!("it is {other:?}")));
        }
    };
    let listed = env.get(&variables::CORS_ORIGINS).unwrap_or_default();
    let origins: Vec<String> = listed
        .split(',')
        .map(str::trim)
        .filter(|o| !o.is_empty())
        .map(str::to_owned)
        .collect();
    for listed in &origins {
        origin(listed, stage).map_err(|problem| variables::CORS_ORIGINS.error(problem))?;
    }
    if allow_credentials && origins.is_empty() {
        let problem = format!(
            "it is empty although {} is true",
            variables::CORS_ALLOW_CREDENTIALS.name
        );
        return Err(variables::CORS_ORIGINS.error(problem));
    }
    Ok(Cors {
        origins,
        allow_credentials,
    })
}

/// Checks that `text` is an origin, in the form in which browsers write it (RFC 6454).
fn origin(text: &str, stage: Stage) -> Result<(), String> {
    let uri: Uri = text
        .parse()
        .map_err(|_| format!("{text:?} is not an origin"))?;
    let rebuilt = match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => format!("{scheme}://{authority}"),
        _ => return Err(format!("{text:?} is not an origin")),
    };
    if rebuilt != text || text.contains('@') || text != text.to_lowercase() {
        return Err(format!("{text:?} is more than an origin"));
    }
    let host = uri.host().unwrap_or_default();
    let is_name =
        host.contains('.') && host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
    if stage.is_deployed() && (uri.scheme_str() != Some("https") || !is_name) {
        return Err(format!("{text:?} is not fit for {stage}"));
    }
    Ok(())
}

/// Checks that `text` is an `http` or `https` address that a path can be appended to.
pub(super) fn origin_or_base(text: &str) -> Result<(), String> {
    let uri: Uri = text
        .parse()
        .map_err(|_| format!("{text:?} is not an address"))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if is_web && uri.query().is_none() {
        Ok(())
    } else {
        Err(format!("{text:?} is not an address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_productions_keys_are_live() {
        let others = [Stage::Development, Stage::Testing, Stage::Staging];

        assert_eq!(Stage::Production.key_kind(), KeyKind::Live);
        for stage in others {
            assert_eq!(stage.key_kind(), KeyKind::Test, "{stage}");
        }
    }
}
