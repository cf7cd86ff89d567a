//! Why a policy was refused, in the words of whoever wrote it: which field, and what is wrong.

use std::fmt::Display;

use super::MAX_BYTES;

/// How much of a path or a problem is told: a policy may hold texts of any length, and an error
/// ends in a log.
const MAX_TOLD: usize = 300;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("it is {bytes} bytes long; a policy has at most {MAX_BYTES}")]
    TooLong { bytes: usize },
    /// The text is not TOML. Lines and columns count from 1.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        line: usize,
        column: usize,
        problem: String,
    },
    /// A field does not fit; `path` is its full name, such as `classes.query.limits[0].rate`.
    #[error("{path}: {problem}")]
    Field { path: String, problem: String },
}

impl PolicyError {
    /// The full name of the field that does not fit, where it is a field.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Field { path, .. } => Some(path),
            Self::TooLong { .. } | Self::Syntax { .. } => None,
        }
    }

    pub(super) fn field(path: impl Display, problem: impl Display) -> Self {
        Self::Field {
            path: told(path),
            problem: told(problem),
        }
    }

    pub(super) fn missing(path: impl Display, expected: impl Display) -> Self {
        Self::field(path, format!("it is missing; it should be {expected}"))
    }

    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Syntax {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: told(error.message()),
        }
    }
}

fn told(text: impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
