//! API keys, as a test holds them.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Account, Answer, TestStack};

pub(crate) const KEYS: &str = "/api/v1/users/api-keys";

/// A key and its id.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Key {
    pub(crate) fn from_answer(answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{}", answer.text);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            id: text(&answer.body["api_key"]["id"]),
            secret: text(&answer.body["key"]),
        }
    }

    pub(crate) fn path(&self) -> String {
        format!("{KEYS}/{}", self.id)
    }
}

impl TestStack {
    /// The answer to `account` making a key of `request`, which need not have a name.
    pub(crate) async fn create_key(&self, account: &Account, request: Value) -> Answer {
        let call = self.post(KEYS).bearer(&account.access_token);
        call.json(&named(request)).send().await
    }

    pub(crate) async fn make_key(&self, account: &Account, request: Value) -> Key {
        Key::from_answer(&self.create_key(account, request).await)
    }

    /// The answer to the holder of `maker` making a key of `request`.
    pub(crate) async fn create_key_by(&self, maker: &Key, request: Value) -> Answer {
        let call = self.post(KEYS).key(&maker.secret);
        call.json(&named(request)).send().await
    }

    pub(crate) async fn revoke_key(&self, account: &Account, key: &Key) {
        let call = self.delete(&key.path()).bearer(&account.access_token);
        assert_eq!(call.send().await.status, 204);
    }

    pub(crate) async fn rotate_key(&self, account: &Account, key: &Key, overlap: u64) -> Answer {
        self.post(&format!("{}/rotate", key.path()))
            .bearer(&account.access_token)
            .json(&json!({"overlap_seconds": overlap}))
            .send()
            .await
    }

    /// The answer to `GET /users/me` with a key.
    pub(crate) async fn use_key(&self, key: &Key) -> Answer {
        self.get("/api/v1/users/me").key(&key.secret).send().await
    }

    /// A key as its owner sees it.
    pub(crate) async fn show_key(&self, account: &Account, key: &Key) -> Value {
        let call = self.get(&key.path()).bearer(&account.access_token);
        let answer = call.send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["api_key"].clone()
    }

    /// The stack's first admin, signed in.
    pub(crate) async fn admin(&self) -> Account {
        let admin = self.stack.admin.as_ref().expect("the engine is embedded");
        let password = admin.password.as_ref().expect("it was just made");
        let body = json!({"email": admin.email, "password": password.expose_secret()});
        let answer = self.post("/api/v1/auth/login").json(&body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Account::from_answer(&admin.email, &answer.body)
    }
}

fn named(mut request: Value) -> Value {
    if request.get("name").is_none() {
        request["name"] = "CI".into();
    }
    request
}
