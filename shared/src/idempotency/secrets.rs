//! What is made with a secret of the stage: the name of a request's record, the fingerprint of its
//! content, and the seal of its answer.

use std::fmt;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IdempotencyKey, KeyUser, Secret};
use crate::auth::StageSecret;

/// A request that carries a key.
pub struct Request<'a> {
    pub user: &'a KeyUser,
    pub method: &'a str,
    /// With the ids that stand in it.
    pub path: &'a str,
    pub key: &'a IdempotencyKey,
}

/// Which record is a request's: whose it is, and a digest of all that tells it from others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordId {
    pub user: KeyUser,
    pub digest: String,
}

/// What two requests with the same content have in common.
#[derive(Clone)]
pub struct Fingerprint(Vec<u8>);

impl Fingerprint {
    pub fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compared in constant time.
    pub fn is_of_same(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// A successful answer as it was sent first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAnswer {
    pub status: u16,
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// What it shows that must still stand for it to be shown again.
    pub secret: Option<Secret>,
}

/// What is kept of an answer was not sealed here, or for another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kept answer cannot be opened")]
pub struct CannotOpen;

/// The keys of all this, each derived for its own use. What one function keeps no other can read.
pub struct IdempotencySecrets {
    record: hmac::Key,
    fingerprint: hmac::Key,
    answer: RandomizedNonceKey,
}

impl IdempotencySecrets {
    pub fn new(secret: &StageSecret) -> Self {
        Self {
            record: secret.hmac_key("idempotency-record"),
            fingerprint: secret.hmac_key("idempotency-fingerprint"),
            answer: secret.sealing_key("idempotency-answer"),
        }
    }

    pub fn record_of(&self, request: &Request<'_>) -> RecordId {
        let user = match request.user {
            KeyUser::Sessions(user) => user.to_string(),
            KeyUser::ApiKey(_, key) => key.to_string(),
            KeyUser::Email(email) => format!("email:{}", email.as_str()),
        };
        // None of the parts but the last can hold a zero byte, so no two requests read alike.
        let mut message = [&user, request.method, request.path]
            .join("\0")
            .into_bytes();
        message.push(0);
        message.extend_from_slice(request.key.as_bytes());
        RecordId {
            user: request.user.clone(),
            digest: URL_SAFE_NO_PAD.encode(hmac::sign(&self.record, &message)),
        }
    }

    /// The fingerprint of a request's content. How it is written does not count: neither the order
    /// of members nor the space between them.
    pub fn fingerprint_of(&self, record: &RecordId, content: &Value) -> Fingerprint {
        let mut content = content.clone();
        content.sort_all_objects();
        let message = format!("{}\0{content}", record.digest);
        let fingerprint = hmac::sign(&self.fingerprint, message.as_bytes());
        Fingerprint(fingerprint.as_ref().to_vec())
    }

    /// Encrypts an answer for its record (AES-256-GCM, a random nonce in front).
    ///
    /// # Panics
    ///
    /// Never: neither writing an answer to memory nor encrypting so little can fail.
    pub fn seal(&self, record: &RecordId, answer: &FirstAnswer) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "nothing in an answer cannot be written")]
        let mut text = postcard::to_allocvec(answer).expect("an answer is written to memory");
        let aad = Aad::from(record.digest.as_bytes());
        let sealed = self.answer.seal_in_place_append_tag(aad, &mut text);
        #[expect(clippy::expect_used, reason = "AES-GCM takes up to 64 GiB")]
        let nonce = sealed.expect("an answer is far below what AES-GCM takes");
        [nonce.as_ref().as_slice(), &text].concat()
    }

    /// Decrypts what was sealed for this record.
    pub fn open(&self, record: &RecordId, sealed: &[u8]) -> Result<FirstAnswer, CannotOpen> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut text = text.to_vec();
        let aad = Aad::from(record.digest.as_bytes());
        let opened = self.answer.open_in_place(nonce, aad, &mut text);
        postcard::from_bytes(opened.map_err(|_| CannotOpen)?).map_err(|_| CannotOpen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::ids::{KeyId, SessionId, UserId};

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn secrets_of(secret: &str) -> IdempotencySecrets {
        IdempotencySecrets::new(&StageSecret::new(&secret.into()).unwrap())
    }

    fn secrets() -> IdempotencySecrets {
        secrets_of("0123456789abcdef0123456789abcdef")
    }

    fn key(text: &str) -> IdempotencyKey {
        text.parse().unwrap()
    }

    fn email(text: &str) -> KeyUser {
        let address: crate::auth::EmailAddress = text.parse().unwrap();
        KeyUser::Email(address.key())
    }

    fn record(digest: &str) -> RecordId {
        RecordId {
            user: email("ada@example.com"),
            digest: digest.to_owned(),
        }
    }

    #[test]
    fn a_request_of_another_user_route_resource_or_key_has_another_record() {
        let (ada, bob) = (UserId::new(T), UserId::new(T));
        let (one, two) = (key("one"), key("two"));
        let by_key = |owner| KeyUser::ApiKey(owner, KeyId::new(T));
        let cases = [
            (KeyUser::Sessions(ada), "POST", "/keys", &one),
            (KeyUser::Sessions(ada), "POST", "/keys", &two),
            (KeyUser::Sessions(ada), "PUT", "/keys", &one),
            (KeyUser::Sessions(ada), "POST", "/keys/a/rotate", &one),
            (KeyUser::Sessions(ada), "POST", "/keys/b/rotate", &one),
            (KeyUser::Sessions(bob), "POST", "/keys", &one),
            (by_key(ada), "POST", "/keys", &one),
            (by_key(ada), "POST", "/keys", &one),
            (email("ada@example.com"), "POST", "/keys", &one),
            (email("bob@example.com"), "POST", "/keys", &one),
        ];

        let digests = cases.map(|(user, method, path, key)| {
            let request = Request {
                user: &user,
                method,
                path,
                key,
            };
            secrets().record_of(&request).digest
        });

        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[index + 1..].contains(digest), "{index}");
        }
    }

    #[test]
    fn two_spellings_of_an_address_are_one_user_of_a_key() {
        let digest = |address: &str| {
            let (user, key) = (email(address), key("one"));
            let request = Request {
                user: &user,
                method: "POST",
                path: "/register",
                key: &key,
            };
            secrets().record_of(&request).digest
        };

        assert_eq!(digest("Ada@Example.com"), digest("ada@example.com"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same content with the members of every object in the opposite order.
    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .rev()
                    .map(|(name, value)| (name.clone(), reversed(value)))
                    .collect(),
            ),
            Value::Array(items) => items.iter().map(reversed).collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn contents_have_one_fingerprint_exactly_when_they_are_equal(one in json(), other in json()) {
            let (secrets, record) = (secrets(), record("one"));
            let fingerprint = |content: &Value| secrets.fingerprint_of(&record, content);
            let written = |text: String| fingerprint(&serde_json::from_str(&text).unwrap());

            let dense = written(one.to_string());
            let spaced = written(format!("{:#}", reversed(&one)));

            prop_assert!(dense.is_of_same(&spaced));
            prop_assert_eq!(fingerprint(&one).is_of_same(&fingerprint(&other)), one == other);
        }

        #[test]
        fn an_answer_that_was_altered_anywhere_does_not_open(at in 0_usize..200, flip in 1_u8..=255) {
            let mut sealed = secrets().seal(&record("one"), &answer());
            let at = at % sealed.len();
            sealed[at] ^= flip;

            prop_assert!(secrets().open(&record("one"), &sealed).is_err());
        }
    }

    #[test]
    fn the_order_of_a_list_and_the_kind_of_a_value_count() {
        let (secrets, record) = (secrets(), record("one"));
        let cases = [
            (json!({"scopes": ["a", "b"]}), json!({"scopes": ["b", "a"]})),
            (json!({"hour": 1}), json!({"hour": "1"})),
            (json!({"name": "a"}), json!({"name": "a", "scopes": null})),
            (json!({}), json!([])),
        ];

        for (one, other) in cases {
            let is_same = secrets
                .fingerprint_of(&record, &one)
                .is_of_same(&secrets.fingerprint_of(&record, &other));

            assert!(!is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_fingerprint_belongs_to_its_record_and_its_secret() {
        let content = json!({"name": "CI"});
        let one = secrets().fingerprint_of(&record("one"), &content);
        let elsewhere = secrets().fingerprint_of(&record("two"), &content);
        let another = secrets_of("another-secret-another-secret-123");

        assert!(!one.is_of_same(&elsewhere));
        assert!(!one.is_of_same(&another.fingerprint_of(&record("one"), &content)));
    }

    fn answer() -> FirstAnswer {
        FirstAnswer {
            status: 201,
            body: br#"{"key": "tp_test_0123"}"#.to_vec(),
            secret: Some(Secret::Tokens {
                user: UserId::new(T),
                session: SessionId::new(T),
            }),
        }
    }

    #[test]
    fn an_answer_opens_for_its_own_record_and_secret_alone() {
        let (first, another) = (answer(), secrets_of("another-secret-another-secret-123"));

        let sealed = secrets().seal(&record("one"), &first);

        assert!(secrets().open(&record("one"), &sealed) == Ok(first));
        assert!(secrets().open(&record("two"), &sealed).is_err());
        assert!(another.open(&record("one"), &sealed).is_err());
        assert!(secrets().open(&record("one"), &sealed[..11]).is_err());
        assert!(!sealed.windows(8).any(|part| part == b"tp_test_"));
        assert_ne!(sealed, secrets().seal(&record("one"), &answer()));
    }
}
