//! Mails: what they are for and how they read. Who carries them is decided elsewhere.
//!
//! An event in the outbox names a purpose and a recipient; the one-time token is made only when
//! the mail is, so that no token ever lies in the outbox. No mail holds a text that a user wrote.

use serde::{Deserialize, Serialize};

use crate::auth::{EmailAddress, OneTimeToken, Purpose};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// A mail that is to be sent, as the outbox keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MailEvent {
    /// Proves that a new account's address is its owner's.
    VerifyEmail { user_id: UserId },
    /// Lets the owner of an address set a new password. It names the address: whether there is an
    /// account is found out when the mail is made, so that the request for it tells nobody.
    ResetPassword { email: EmailAddress },
}

/// The most mails that one address gets in an hour.
pub const MAILS_PER_HOUR: usize = 3;

/// A mail, ready to be carried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mail {
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub sent_at: Timestamp,
}

/// Writes the mail that carries `token`. Its link leads to the app at `app_url`; the bare token
/// stands on a line of its own.
pub fn compose(
    purpose: Purpose,
    to: EmailAddress,
    token: &OneTimeToken,
    app_url: &str,
    now: Timestamp,
) -> Mail {
    let (subject, path, text, html) = match purpose {
        Purpose::VerifyEmail => (
            "Confirm your e-mail address",
            "verify-email",
            include_str!("templates/verify-email.txt"),
            include_str!("templates/verify-email.html"),
        ),
        Purpose::ResetPassword => (
            "Set a new password",
            "reset-password",
            include_str!("templates/reset-password.txt"),
            include_str!("templates/reset-password.html"),
        ),
    };
    let link = format!("{app_url}/{path}?token={}", token.expose());
    let fill = |template: &str, link: &str| {
        template
            .replace("{link}", link)
            .replace("{token}", token.expose())
    };
    Mail {
        to,
        subject: subject.to_owned(),
        text: fill(text, &link),
        html: fill(html, &escape_attribute(&link)),
        sent_at: now,
    }
}

/// The configured address of the app may hold an `&`.
fn escape_attribute(link: &str) -> String {
    link.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_holds_the_link_and_the_bare_token_on_a_line_of_its_own() {
        let token = OneTimeToken::generate();
        let cases = [
            (Purpose::VerifyEmail, "verify-email"),
            (Purpose::ResetPassword, "reset-password"),
        ];

        for (purpose, path) in cases {
            let to = "ada@example.com".parse().unwrap();
            let now = Timestamp::from_millis(0);
            let mail = compose(purpose, to, &token, "https://app.example.com", now);

            let link = format!("https://app.example.com/{path}?token={}", token.expose());
            assert!(
                mail.text.lines().any(|line| line == token.expose()),
                "{path}"
            );
            assert!(
                mail.text.contains(&link) && mail.html.contains(&link),
                "{path}"
            );
            assert!(
                !mail.text.contains('{') && !mail.html.contains('{'),
                "{path}"
            );
        }
    }
}
