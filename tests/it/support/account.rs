//! A signed-in user, as a test holds one.

use serde_json::Value;

/// The usual password: not too easy to guess.
pub(crate) const PASSWORD: &str = "plum-violin-harbour-7";

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) session_id: String,
}

impl Account {
    pub(crate) fn from_answer(email: &str, body: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            email: email.to_owned(),
            id: text(&body["user"]["id"]),
            access_token: text(&body["tokens"]["access_token"]),
            refresh_token: text(&body["tokens"]["refresh_token"]),
            session_id: text(&body["tokens"]["session_id"]),
        }
    }
}
