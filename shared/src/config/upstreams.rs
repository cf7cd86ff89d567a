//! Where the secrets of upstreams are, which a policy names and does not hold.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::{ConfigError, Environment, SecretSource, StageConfig, variables};

/// Where secrets are found by the names that a policy has for them.
#[derive(Clone, Debug)]
pub enum UpstreamSecretSource {
    /// The variable holds them; for development and tests.
    Inline(BTreeMap<String, SecretString>),
    /// In AWS Secrets Manager, under this and the name.
    SecretsManager {
        prefix: String,
    },
    Nowhere,
}

impl UpstreamSecretSource {
    pub fn read(env: &Environment) -> Result<Self, ConfigError> {
        let inline = &variables::UPSTREAM_SECRETS;
        let prefix = &variables::UPSTREAM_SECRETS_PREFIX;
        match (env.get(prefix), env.get(inline)) {
            (Some(_), Some(_)) => Err(inline.error(format!("{} is set too", prefix.name))),
            (Some(prefix), None) => Ok(Self::SecretsManager {
                prefix: prefix.to_owned(),
            }),
            (None, Some(secrets)) => {
                let stage = StageConfig::read(env)?.stage;
                if stage.is_deployed() {
                    return Err(inline.error(format!("{stage} takes no secret from a variable")));
                }
                // What is wrong with it is not told, as that could quote a secret.
                let secrets: BTreeMap<String, String> = serde_json::from_str(secrets)
                    .map_err(|_| inline.error("it is something else"))?;
                let secrets = secrets.into_iter();
                Ok(Self::Inline(
                    secrets
                        .map(|(name, secret)| (name, secret.into()))
                        .collect(),
                ))
            }
            (None, None) => Ok(Self::Nowhere),
        }
    }

    /// Where the secret with this name is.
    pub fn of(&self, name: &str) -> Result<SecretSource, ConfigError> {
        let inline = &variables::UPSTREAM_SECRETS;
        match self {
            Self::Inline(secrets) => match secrets.get(name) {
                Some(secret) => Ok(SecretSource::Inline(secret.clone())),
                None => Err(inline.error(format!("it has no {name:?}"))),
            },
            Self::SecretsManager { prefix } => {
                Ok(SecretSource::SecretsManager(format!("{prefix}{name}")))
            }
            Self::Nowhere => Err(inline.error(format!(
                "neither it nor {} is set",
                variables::UPSTREAM_SECRETS_PREFIX.name
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(stage: &str) -> Environment {
        Environment::default()
            .with("TURNPIKE_ENVIRONMENT", stage)
            .with("TURNPIKE_ISSUER", "https://api.example.com")
    }

    #[test]
    fn secrets_come_from_a_variable_in_development_and_testing_alone() {
        for (stage, is_taken) in [
            ("development", true),
            ("testing", true),
            ("staging", false),
            ("production", false),
        ] {
            let env = env(stage).with("TURNPIKE_UPSTREAM_SECRETS", r#"{"a":"b"}"#);

            let read = UpstreamSecretSource::read(&env);

            assert_eq!(read.is_ok(), is_taken, "{stage}");
        }
    }

    #[test]
    fn a_name_in_the_policy_is_one_below_the_stages_prefix() {
        let env = env("production").with("TURNPIKE_UPSTREAM_SECRETS_PREFIX", "prod/upstreams/");

        let found = UpstreamSecretSource::read(&env).unwrap().of("library");

        assert!(
            matches!(found, Ok(SecretSource::SecretsManager(name)) if name == "prod/upstreams/library")
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_being_shown() {
        let env = env("testing").with("TURNPIKE_UPSTREAM_SECRETS", r#"{"a":"hush""#);

        let refused = UpstreamSecretSource::read(&env).unwrap_err();

        assert_eq!(refused.variable, "TURNPIKE_UPSTREAM_SECRETS");
        assert!(!refused.to_string().contains("hush"));
    }

    #[test]
    fn a_secret_that_is_nowhere_is_missed_by_its_name() {
        let nowhere = UpstreamSecretSource::read(&env("testing")).unwrap();
        let inline = env("testing").with("TURNPIKE_UPSTREAM_SECRETS", r#"{"a":"b"}"#);
        let inline = UpstreamSecretSource::read(&inline).unwrap();

        assert!(nowhere.of("library").is_err());
        assert!(
            inline
                .of("library")
                .unwrap_err()
                .to_string()
                .contains("library")
        );
        assert!(inline.of("a").is_ok());
    }
}
