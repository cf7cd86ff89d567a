//! Fields that several requests have, parsed into the domain.

use secrecy::SecretString;
use turnpike_shared::auth::{EmailAddress, NewPassword, PasswordRejected};
use turnpike_shared::errors::{FieldError, Problem, ProblemCode};

const MAX_NAME_CHARS: usize = 200;

pub(crate) fn email(text: &str) -> Result<EmailAddress, FieldError> {
    text.parse()
        .map_err(|_| FieldError::new("email", "invalid", "This is not an e-mail address."))
}

pub(crate) fn full_name(text: Option<String>) -> Result<Option<String>, FieldError> {
    let Some(name) = text.map(|text| text.trim().to_owned()) else {
        return Ok(None);
    };
    match name.chars().count() {
        0 => Err(FieldError::new(
            "full_name",
            "too-short",
            "A name has at least one character.",
        )),
        count if count > MAX_NAME_CHARS => Err(FieldError::new(
            "full_name",
            "too-long",
            "A name has at most 200 characters.",
        )),
        _ if name.contains(char::is_control) => Err(FieldError::new(
            "full_name",
            "invalid",
            "A name has no control characters.",
        )),
        _ => Ok(Some(name)),
    }
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
