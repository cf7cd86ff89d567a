//! A problem: what a request failed of, for the client and, apart from it, for the operator.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use serde::Serialize;

use super::ProblemCode;

/// One field that a `validation-failed` or `weak-password` problem complains of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's name, with a path into it where it is nested: `events[0].session_id`.
    pub field: String,
    /// What is wrong, for programs: `required`, `unknown`, `wrong-type`, `too-short`, `too-long`,
    /// `out-of-range`, `invalid` or `too-guessable`.
    pub code: &'static str,
    /// What is wrong, for people.
    pub detail: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            code,
            detail: detail.into(),
        }
    }
}

/// A refusal or a failure, to be rendered as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: ProblemCode,
    /// What this occurrence is about, for the client.
    pub detail: Cow<'static, str>,
    pub errors: Vec<FieldError>,
    /// Whole seconds after which to try again.
    pub retry_after: Option<u32>,
    /// The limits that refused, of a `quota-exceeded`.
    pub violated_policies: Vec<String>,
    /// Why it failed, for the log alone.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            violated_policies: Vec::new(),
            cause: None,
        }
    }

    pub fn validation(errors: Vec<FieldError>) -> Self {
        let problem = Self::new(
            ProblemCode::ValidationFailed,
            "The request's content is not valid; errors says where.",
        );
        Self { errors, ..problem }
    }

    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "There is nothing at this path.")
    }

    /// An earlier try of the same request runs.
    pub fn in_progress() -> Self {
        let problem = Self::new(
            ProblemCode::IdempotencyInProgress,
            "A request with this Idempotency-Key is still running.",
        );
        Self {
            retry_after: Some(1),
            ..problem
        }
    }

    /// One text for every way in which a credential can be bad.
    pub fn unauthenticated() -> Self {
        Self::new(
            ProblemCode::Unauthenticated,
            "Send a valid access token as Authorization: Bearer, or an API key as X-API-Key.",
        )
    }

    /// A fault of the server's own: the client learns nothing but the request's id.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::new(
            ProblemCode::InternalError,
            "The request could not be completed. The operator finds the cause by the request_id.",
        )
        .caused_by(cause)
    }

    /// Something that the request needs is away or overloaded.
    pub fn unavailable(cause: impl Error + Send + Sync + 'static) -> Self {
        let problem = Self::new(
            ProblemCode::ServiceUnavailable,
            "The request could not be completed for now; nothing is known to be wrong with it.",
        );
        Self {
            retry_after: Some(1),
            ..problem
        }
        .caused_by(cause)
    }

    #[must_use]
    pub fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..self
        }
    }

    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }
}
