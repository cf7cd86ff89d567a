//! What API Gateway is told: let it in or not, and who it is for the API behind.

use serde::Serialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::Tier;
use turnpike_shared::config::AuthorizerResponse;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::{KeyId, SessionId, UserId};
use turnpike_shared::limits::{LimitReport, LimitState};

/// The version of IAM's policy language.
const POLICY_LANGUAGE: &str = "2012-10-17";
/// Whoever was not let in; of them no more is known than what they claim.
const NOBODY: &str = "nobody";

/// The answer in one of the two forms that API Gateway takes.
#[derive(Serialize, Debug)]
#[serde(untagged)]
pub enum Answer {
    #[serde(rename_all = "camelCase")]
    Simple {
        is_authorized: bool,
        context: Context,
    },
    #[serde(rename_all = "camelCase")]
    Policy {
        principal_id: String,
        policy_document: PolicyDocument,
        context: Context,
    },
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: String,
}

/// What the API behind may know, as `$context.authorizer.*`. REST APIs take texts and numbers alone,
/// so nothing in here is a list.
#[derive(Serialize, Default, Debug)]
pub struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
    /// Separated by spaces, as in a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// What is left of the limit that is nearest, like the next two; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    /// Seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<i64>,
    /// Why it was refused, as problems have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
}

impl Context {
    fn of_limits(limits: &LimitReport) -> Self {
        let tightest = limits.tightest();
        let reset = tightest.and_then(|limit| limit.reset_at);
        Self {
            limit: tightest.map(|limit| limit.limit),
            remaining: tightest.map(LimitState::remaining),
            reset: reset.map(|at| (at.millis() + 999).div_euclid(1_000)),
            ..Self::default()
        }
    }
}

/// The answer to a request that is let in. `resource` is what a policy is about.
pub(crate) fn allow(
    form: AuthorizerResponse,
    resource: &str,
    caller: &Caller,
    limits: &LimitReport,
) -> Answer {
    let context = Context {
        user_id: Some(caller.id()),
        tier: Some(caller.principal.tier.clone()),
        scopes: Some(caller.scopes().to_string()),
        session_id: caller.session(),
        key_id: caller.key().map(|key| key.id),
        ..Context::of_limits(limits)
    };
    answer(form, true, resource, caller.id().to_string(), context)
}

/// The answer to a request that is not.
pub(crate) fn deny(
    form: AuthorizerResponse,
    resource: &str,
    problem: &Problem,
    limits: &LimitReport,
) -> Answer {
    let context = Context {
        code: Some(problem.code.code()),
        retry_after: problem.retry_after,
        ..Context::of_limits(limits)
    };
    answer(form, false, resource, NOBODY.to_owned(), context)
}

fn answer(
    form: AuthorizerResponse,
    is_authorized: bool,
    resource: &str,
    principal_id: String,
    context: Context,
) -> Answer {
    match form {
        AuthorizerResponse::Simple => Answer::Simple {
            is_authorized,
            context,
        },
        AuthorizerResponse::Iam => Answer::Policy {
            principal_id,
            policy_document: PolicyDocument {
                version: POLICY_LANGUAGE,
                statement: [Statement {
                    action: "execute-api:Invoke",
                    effect: if is_authorized { "Allow" } else { "Deny" },
                    resource: literal(resource),
                }],
            },
            context,
        },
    }
}

/// A resource that stands for nothing but itself. The path in it is the client's, and IAM's language
/// has wildcards and variables: with these encoded, the policy is about a path that nobody can ask for,
/// and API Gateway refuses the request.
fn literal(arn: &str) -> String {
    arn.replace('*', "%2A")
        .replace('?', "%3F")
        .replace("${", "%24{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_a_pattern_is_none_in_a_policy() {
        let of_path =
            |path: &str| format!("arn:aws:execute-api:eu-central-1:1:api/$default/GET{path}");
        let cases = [
            ("/orders/7", "/orders/7"),
            ("/orders/*", "/orders/%2A"),
            ("/*/?", "/%2A/%3F"),
            ("/${aws:username}", "/%24{aws:username}"),
            ("/$price", "/$price"),
        ];

        for (path, expected) in cases {
            assert_eq!(literal(&of_path(path)), of_path(expected));
        }
    }
}
