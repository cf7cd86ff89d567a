//! Lists: pages of bounded size, and cursors that cannot be made or moved by the client.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::auth::StageSecret;
use crate::errors::{FieldError, Problem, ProblemCode};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;
const MAC_BYTES: usize = 32;

/// The query string of every list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many items to answer with, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before; left out for the first page.
    cursor: Option<String>,
}

impl ListQuery {
    /// The part of a longer query string that every list has.
    pub fn new(limit: Option<usize>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    pub fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            return Ok(limit);
        }
        let error = FieldError::new("limit", "out-of-range", "The limit is 1 to 100.");
        Err(Problem::validation(vec![error]))
    }

    /// The position that the page starts behind, if it is not the first page of `list`.
    pub fn position(&self, key: &CursorKey, list: &ListOf<'_>) -> Result<Option<String>, Problem> {
        let opened = self
            .cursor
            .as_ref()
            .map(|cursor| key.open(cursor, list))
            .transpose();
        opened.map_err(|InvalidCursor| {
            Problem::new(
                ProblemCode::InvalidCursor,
                "Pass next_cursor back as it came.",
            )
        })
    }
}

/// One page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts; null on the last one.
    #[schema(required, example = "Yx0b3Jz...")]
    pub next_cursor: Option<String>,
}

/// Which list of whom a cursor belongs to.
pub struct ListOf<'a> {
    /// What is listed, with every filter: a cursor of one selection is none of another's.
    pub name: &'a str,
    pub caller: &'a str,
}

/// A cursor that was altered, or made for another list or caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidCursor;

/// Makes and opens cursors: the position, sealed with HMAC-SHA-256 over it, the list and the
/// caller.
pub struct CursorKey(hmac::Key);

impl CursorKey {
    pub fn new(secret: &StageSecret) -> Self {
        Self(secret.hmac_key("cursor"))
    }

    pub fn seal(&self, position: &str, list: &ListOf<'_>) -> String {
        let mut sealed = hmac::sign(&self.0, &message(position, list))
            .as_ref()
            .to_vec();
        sealed.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn open(&self, cursor: &str, list: &ListOf<'_>) -> Result<String, InvalidCursor> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
        let (mac, position) = sealed.split_at_checked(MAC_BYTES).ok_or(InvalidCursor)?;
        let position = std::str::from_utf8(position).map_err(|_| InvalidCursor)?;
        hmac::verify(&self.0, &message(position, list), mac).map_err(|_| InvalidCursor)?;
        Ok(position.to_owned())
    }
}

fn message(position: &str, list: &ListOf<'_>) -> Vec<u8> {
    format!("{}\0{}\0{position}", list.name, list.caller).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINE: ListOf<'_> = ListOf {
        name: "sessions",
        caller: "usr_1",
    };

    fn key() -> CursorKey {
        CursorKey::new(&StageSecret::new(&"0123456789abcdef0123456789abcdef".into()).unwrap())
    }

    proptest! {
        #[test]
        fn a_cursor_opens_to_its_position(position in ".*") {
            prop_assert_eq!(key().open(&key().seal(&position, &MINE), &MINE), Ok(position));
        }

        #[test]
        fn a_cursor_altered_anywhere_does_not_open(at in 0_usize..60, flip in 1_u8..=255) {
            let mut bytes = URL_SAFE_NO_PAD.decode(key().seal("position of an item here", &MINE)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;

            prop_assert_eq!(key().open(&URL_SAFE_NO_PAD.encode(bytes), &MINE), Err(InvalidCursor));
        }
    }

    #[test]
    fn a_cursor_of_another_list_caller_or_length_does_not_open() {
        let cursor = key().seal("position", &MINE);

        let elsewhere = ListOf {
            name: "jobs",
            ..MINE
        };
        let another = ListOf {
            caller: "usr_2",
            ..MINE
        };

        assert_eq!(key().open(&cursor, &elsewhere), Err(InvalidCursor));
        assert_eq!(key().open(&cursor, &another), Err(InvalidCursor));
        assert_eq!(key().open("", &MINE), Err(InvalidCursor));
        assert_eq!(key().open("%%%", &MINE), Err(InvalidCursor));
    }
}
