//! E-mail addresses: valid once parsed, compared without case.

use std::fmt;
use std::str::FromStr;

use email_address::Options;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// The longest address that mail can be sent to, in bytes (RFC 5321, section 4.5.3.1.3, less the
/// angle brackets).
const MAX_BYTES: usize = 254;

/// What was given is not an address that mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

/// An address as its owner writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one address have in common: its letters without case and without
    /// Unicode's alternative forms.
    pub fn key(&self) -> EmailKey {
        let folded = self
            .0
            .nfkc()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase);
        EmailKey(folded.nfkc().collect())
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text: String = text.trim().nfc().collect();
        let options = Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let has_form = !text.contains(char::is_control)
            && email_address::EmailAddress::parse_with_options(&text, options).is_ok();
        let top = text.rsplit('.').next().unwrap_or_default();
        let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
        let address = Self(text);
        // Folding can make a text longer, and the key is one of the database's.
        let fits = address.0.len() <= MAX_BYTES && address.key().0.len() <= MAX_BYTES;
        if has_form && !is_number && fits {
            Ok(address)
        } else {
            Err(InvalidEmail)
        }
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses are personal data and stay out of logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An address folded for comparison: of one address there is one key, and so one account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl EmailKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_share_a_key() {
        let cases = [
            ("Ada@Example.com", "ada@example.com"),
            (" ada@example.com ", "ada@example.com"),
            ("ADA+news@EXAMPLE.COM", "ada+news@example.com"),
            ("Jürgen@example.de", "JÜRGEN@example.de"),
            ("ju\u{308}rgen@example.de", "j\u{fc}rgen@example.de"),
            ("ΣΑΣ@example.gr", "σας@example.gr"),
            ("STRASSE@example.de", "straße@example.de"),
        ];

        for (left, right) in cases {
            let key = |text: &str| text.parse::<EmailAddress>().unwrap().key();
            assert_eq!(key(left), key(right), "{left} and {right}");
        }
    }

    #[test]
    fn what_no_mail_can_be_sent_to_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        let grows = format!("{}@{}.com", "\u{fdfa}".repeat(21), "\u{fdfa}".repeat(15));
        let cases = [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "a b@example.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada@example.com\r\nBcc: x@example.com",
            "ada\0@example.com",
            "ada@1.2.3.4",
            &long,
            &grows,
        ];

        for case in cases {
            assert_eq!(case.parse::<EmailAddress>(), Err(InvalidEmail), "{case:?}");
        }
    }
}
