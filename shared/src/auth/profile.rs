//! What users say of themselves, parsed from requests; what is wrong is told by field.

use crate::errors::FieldError;

const MAX_NAME_CHARS: usize = 200;

/// A full name: 1 to 200 characters once the space around it is dropped; `None` is none.
pub fn full_name(text: Option<String>) -> Result<Option<String>, FieldError> {
    let Some(name) = text.map(|text| text.trim().to_owned()) else {
        return Ok(None);
    };
    let told = |code, detail| Err(FieldError::new("full_name", code, detail));
    match name.chars().count() {
        0 => told("too-short", "A name has at least one character."),
        count if count > MAX_NAME_CHARS => told("too-long", "A name has at most 200 characters."),
        _ if name.contains(char::is_control) => {
            told("invalid", "A name has no control characters.")
        }
        _ => Ok(Some(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_refused_for_its_length_or_its_characters() {
        let longest = "ä".repeat(200);
        let cases = [
            (" Ada King\n", Ok("Ada King")),
            (&longest, Ok(longest.as_str())),
            (" ", Err("too-short")),
            (&format!("{longest}!"), Err("too-long")),
            ("Ada\nKing", Err("invalid")),
        ];

        for (text, expected) in cases {
            let name = full_name(Some(text.to_owned())).map_err(|error| error.code);

            assert_eq!(name, expected.map(|name| Some(name.to_owned())), "{text:?}");
        }
        assert_eq!(full_name(None), Ok(None));
    }
}
