//! Fields that several requests have, parsed into the domain.

use secrecy::SecretString;
pub(crate) use turnpike_shared::auth::profile::full_name;
use turnpike_shared::auth::{EmailAddress, NewPassword, PasswordRejected};
use turnpike_shared::errors::{FieldError, Problem, ProblemCode};

pub(crate) fn email(text: &str) -> Result<EmailAddress, FieldError> {
    text.parse()
        .map_err(|_| FieldError::new("email", "invalid", "This is not an e-mail address."))
}

/// Parses a new password; `owner` is what an attacker knows of its owner.
pub(crate) fn new_password(
    field: &'static str,
    text: SecretString,
    owner: &[&str],
) -> Result<NewPassword, FieldError> {
    NewPassword::parse(text, owner).map_err(|rejected| match rejected {
        PasswordRejected::TooShort => {
            FieldError::new(field, "too-short", "A password has at least 8 characters.")
        }
        PasswordRejected::TooLong => {
            FieldError::new(field, "too-long", "A password has at most 128 characters.")
        }
        PasswordRejected::Weak { advice } if advice.is_empty() => {
            FieldError::new(field, TOO_GUESSABLE, "This password is too easy to guess.")
        }
        PasswordRejected::Weak { advice } => {
            FieldError::new(field, TOO_GUESSABLE, advice.join(" "))
        }
    })
}

const TOO_GUESSABLE: &str = "too-guessable";

/// The problem for what is wrong with a request's fields: `weak-password` when that is all.
pub(crate) fn problem_of(errors: Vec<FieldError>) -> Problem {
    if errors.iter().all(|error| error.code == TOO_GUESSABLE) {
        Problem::new(
            ProblemCode::WeakPassword,
            "The password is too easy to guess; errors has advice.",
        )
        .with_errors(errors)
    } else {
        Problem::validation(errors)
    }
}
