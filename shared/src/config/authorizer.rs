//! How the authorizer of the owner's other APIs answers, and what it asks of a caller.

use super::{ConfigError, Environment, variables};
use crate::auth::{Scope, ScopeSet};

const DEFAULT_CLASS: &str = "default";

/// The form of an answer to API Gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthorizerResponse {
    /// Yes or no: HTTP APIs with format 2.0.
    Simple,
    /// An IAM policy: REST APIs, and HTTP APIs that do not ask for simple responses.
    Iam,
}

/// What the authorizer is told.
#[derive(Clone, Debug)]
pub struct AuthorizerConfig {
    pub response: AuthorizerResponse,
    /// The policy's class in which requests are counted.
    pub class: String,
    /// What a credential must be allowed to do, all of it.
    pub scopes: ScopeSet,
}

impl AuthorizerConfig {
    pub fn read(env: &Environment) -> Result<Self, ConfigError> {
        let response = env.get(&variables::AUTHORIZER_RESPONSE);
        let class = env.get(&variables::AUTHORIZER_CLASS);
        let scopes = env.get(&variables::AUTHORIZER_SCOPES).unwrap_or_default();
        let scope = |name: &str| {
            let unknown = |_| variables::AUTHORIZER_SCOPES.error(format!("{name:?} is no scope"));
            name.parse::<Scope>().map_err(unknown)
        };
        Ok(Self {
            response: match response.unwrap_or("simple") {
                "simple" => AuthorizerResponse::Simple,
                "iam" => AuthorizerResponse::Iam,
                other => {
                    return Err(variables::AUTHORIZER_RESPONSE.error(format!("it is {other:?}")));
                }
            },
            class: class.unwrap_or(DEFAULT_CLASS).to_owned(),
            scopes: scopes
                .split_whitespace()
                .map(scope)
                .collect::<Result<_, _>>()?,
        })
    }

    /// That the policy has no such class.
    pub fn unknown_class(&self) -> ConfigError {
        let class = &self.class;
        variables::AUTHORIZER_CLASS.error(format!("the policy counts no users in {class:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_a_yes_or_no_in_the_default_class_for_every_good_credential() {
        let config = AuthorizerConfig::read(&Environment::default()).unwrap();

        assert_eq!(config.response, AuthorizerResponse::Simple);
        assert_eq!(
            (config.class.as_str(), config.scopes),
            ("default", ScopeSet::EMPTY)
        );
    }

    #[test]
    fn scopes_are_separated_by_spaces_and_all_are_wanted() {
        let env = Environment::default()
            .with("TURNPIKE_AUTHORIZER_RESPONSE", "iam")
            .with("TURNPIKE_AUTHORIZER_SCOPES", "query:run  usage:read");

        let config = AuthorizerConfig::read(&env).unwrap();

        assert_eq!(config.response, AuthorizerResponse::Iam);
        assert_eq!(config.scopes.to_string(), "usage:read query:run");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (variable, value) in [
            ("TURNPIKE_AUTHORIZER_RESPONSE", "maybe"),
            ("TURNPIKE_AUTHORIZER_SCOPES", "query:run,usage:read"),
        ] {
            let env = Environment::default().with(variable, value);
            let refused = AuthorizerConfig::read(&env).unwrap_err();
            assert_eq!(refused.variable, variable, "{refused}");
        }
    }
}
