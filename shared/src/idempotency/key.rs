//! The key as a client sends it.

use std::str::FromStr;

use sfv::{BareItem, Item, Parser};

/// The longest key, in characters.
const MAX_CHARS: usize = 255;

/// What was sent is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a string of 1 to {MAX_CHARS} characters")]
pub struct InvalidKey;

/// A key: 1 to 255 characters of ASCII. It may be as good as a secret to its client, and stays out
/// of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Reads the header's value: a string as structured fields write it (RFC 9651, section 3.3.3), or
/// visible characters without the quotes, as most clients do. Both spellings are one key.
impl FromStr for IdempotencyKey {
    type Err = InvalidKey;

    fn from_str(value: &str) -> Result<Self, InvalidKey> {
        let key = if value.starts_with('"') {
            match Parser::new(value).parse::<Item>() {
                Ok(Item {
                    bare_item: BareItem::String(key),
                    ..
                }) => String::from(key),
                _ => return Err(InvalidKey),
            }
        } else if value.bytes().all(|byte| byte.is_ascii_graphic()) {
            value.to_owned()
        } else {
            return Err(InvalidKey);
        };
        if (1..=MAX_CHARS).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(InvalidKey)
        }
    }
}

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Result<String, InvalidKey> {
        value.parse().map(|IdempotencyKey(key)| key)
    }

    #[test]
    fn a_key_is_a_string_with_its_quotes_or_visible_characters_without() {
        let longest = "k".repeat(255);
        let cases = [
            ("8e03978e-40d5-43dd", Ok("8e03978e-40d5-43dd")),
            (r#""8e03978e-40d5-43dd""#, Ok("8e03978e-40d5-43dd")),
            (r#""two words""#, Ok("two words")),
            (r#""a \"quoted\" \\ key""#, Ok(r#"a "quoted" \ key"#)),
            (r#""key";created=1"#, Ok("key")),
            (r#"k"e,y;=1"#, Ok(r#"k"e,y;=1"#)),
            (&longest, Ok(longest.as_str())),
            ("", Err(InvalidKey)),
            (r#""""#, Err(InvalidKey)),
            ("two words", Err(InvalidKey)),
            (r#""open"#, Err(InvalidKey)),
            (r#""one", "two""#, Err(InvalidKey)),
            (r#""one" two"#, Err(InvalidKey)),
            ("schlüssel", Err(InvalidKey)),
            ("\u{7f}", Err(InvalidKey)),
            (&format!("{longest}k"), Err(InvalidKey)),
            (&format!("\"{longest}k\""), Err(InvalidKey)),
        ];

        for (value, expected) in cases {
            assert_eq!(read(value), expected.map(str::to_owned), "{value}");
        }
    }

    proptest! {
        #[test]
        fn both_spellings_are_one_key(key in "[!#-\\[\\]-~]{1,255}") {
            prop_assert_eq!(read(&format!("\"{key}\"")), read(&key));
        }
    }
}
