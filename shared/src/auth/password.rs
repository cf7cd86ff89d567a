//! Passwords: what may become one, how it is kept, and how it is checked without telling.
//!
//! New hashes are argon2id with 19 MiB, two passes and one lane (OWASP's Password Storage Cheat
//! Sheet), as PHC strings. bcrypt hashes of imported users verify and are replaced at the next
//! sign-in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use zxcvbn::Score;

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 128;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A password as presented, in Unicode's NFKC form, so that one typed on another keyboard is the
/// same one.
pub struct Password {
    normalised: SecretString,
    /// As it was typed: what other systems hashed before an import.
    raw: SecretString,
}

impl Password {
    pub fn presented(raw: SecretString) -> Self {
        let normalised = raw.expose_secret().nfkc().collect::<String>().into();
        Self { normalised, raw }
    }

    fn bytes(&self) -> &[u8] {
        self.normalised.expose_secret().as_bytes()
    }
}

/// Why a password may not be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PasswordRejected {
    TooShort,
    TooLong,
    /// It would be guessed too soon; the advice is for people.
    Weak {
        advice: Vec<String>,
    },
}

/// A password that is good enough to be set.
pub struct NewPassword(Password);

impl NewPassword {
    /// Takes a password of 8 to 128 characters that zxcvbn gives 3 points or more, where `owner`
    /// lists what an attacker knows of its owner: the e-mail address, the name.
    pub fn parse(raw: SecretString, owner: &[&str]) -> Result<Self, PasswordRejected> {
        let password = Password::presented(raw);
        let text = password.normalised.expose_secret();
        match text.chars().count() {
            count if count < MIN_CHARS => return Err(PasswordRejected::TooShort),
            count if count > MAX_CHARS => return Err(PasswordRejected::TooLong),
            _ => {}
        }
        let words: Vec<&str> = owner.iter().flat_map(|known| words_of(known)).collect();
        let estimate = zxcvbn::zxcvbn(text, &words);
        if estimate.score() >= Score::Three {
            return Ok(Self(password));
        }
        let feedback = estimate.feedback();
        let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning);
        let suggestions = feedback
            .map(zxcvbn::feedback::Feedback::suggestions)
            .unwrap_or_default();
        let advice = warning
            .map(|warning| warning.to_string())
            .into_iter()
            .chain(suggestions.iter().map(ToString::to_string))
            .collect();
        Err(PasswordRejected::Weak { advice })
    }
}

/// A text whole, and each word in it.
fn words_of(known: &str) -> impl Iterator<Item = &str> {
    let words = known
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 2);
    std::iter::once(known).chain(words)
}

/// A password's hash, as stored.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    pub fn stored(hash: String) -> Self {
        Self(hash.into())
    }

    /// The hash itself, for the store.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    fn is_bcrypt(&self) -> bool {
        let hash = self.expose();
        ["$2a$", "$2b$", "$2x$", "$2y$"]
            .iter()
            .any(|prefix| hash.starts_with(prefix))
    }
}

/// What a check of a password found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Matches,
    /// It matches, but the hash is of a kind that is no longer made.
    MatchesOldKind,
    Differs,
}

/// The hashing did not end; the thread that ran it was lost.
#[derive(Debug, thiserror::Error)]
pub enum HashingFailed {
    #[error("the hashing thread was lost")]
    Lost(#[from] tokio::task::JoinError),
    #[error("argon2 failed: {0}")]
    Argon2(String),
}

/// Makes and checks hashes, on threads of their own and no more at a time than there are cores:
/// each costs 19 MiB and a core for tens of milliseconds.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    slots: Arc<Semaphore>,
    /// Stands in for the hash of an account that is not there.
    dummy: Arc<str>,
    computed: Arc<AtomicU64>,
}

impl PasswordHasher {
    #[expect(
        clippy::missing_panics_doc,
        reason = "constants within the bounds do not panic"
    )]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        #[expect(
            clippy::expect_used,
            reason = "the parameters are constants within the bounds"
        )]
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .expect("19 MiB, 2 passes and 1 lane are valid for argon2");
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            slots: Arc::new(Semaphore::new(cores)),
            dummy: DUMMY_HASH.into(),
            computed: Arc::default(),
        }
    }

    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, HashingFailed> {
        self.run(move |hasher| hasher.hash_now(&password.0)).await?
    }

    /// Hashes a password that was just verified, for the replacement of an old kind of hash.
    pub async fn rehash(&self, password: Arc<Password>) -> Result<PasswordHash, HashingFailed> {
        self.run(move |hasher| hasher.hash_now(&password)).await?
    }

    /// Checks a password. Without a hash, and beside a hash of an old kind, one argon2 hash is
    /// computed all the same, so that no answer is sooner than that of an ordinary account.
    pub async fn verify(
        &self,
        password: Arc<Password>,
        hash: Option<PasswordHash>,
    ) -> Result<Verdict, HashingFailed> {
        self.run(move |hasher| hasher.verify_now(&password, hash.as_ref()))
            .await
    }

    /// How many argon2 hashes have been computed so far, for the tests of what sign-in tells.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, HashingFailed> {
        let hasher = self.clone();
        #[expect(
            clippy::expect_used,
            reason = "the semaphore lives as long as the hasher"
        )]
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .expect("never closed");
        let result = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(&hasher)
        });
        Ok(result.await?)
    }

    fn hash_now(&self, password: &Password) -> Result<PasswordHash, HashingFailed> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let hash = self.argon2.hash_password(password.bytes());
        let hash = hash.map_err(|error| HashingFailed::Argon2(error.to_string()))?;
        Ok(PasswordHash(hash.to_string().into()))
    }

    fn verify_now(&self, password: &Password, hash: Option<&PasswordHash>) -> Verdict {
        match hash {
            None => {
                self.argon2_matches(password, &self.dummy);
                Verdict::Differs
            }
            Some(hash) if hash.is_bcrypt() => {
                let raw = password.raw.expose_secret();
                let matches = bcrypt::verify(raw, hash.expose()).unwrap_or(false);
                self.argon2_matches(password, &self.dummy);
                if matches {
                    Verdict::MatchesOldKind
                } else {
                    Verdict::Differs
                }
            }
            Some(hash) if self.argon2_matches(password, hash.expose()) => Verdict::Matches,
            Some(_) => Verdict::Differs,
        }
    }

    fn argon2_matches(&self, password: &Password, hash: &str) -> bool {
        self.computed.fetch_add(1, Ordering::Relaxed);
        self.argon2.verify_password(password.bytes(), hash).is_ok()
    }
}

impl Default for PasswordHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// A hash of the kind and cost that are made here, of a password that was thrown away.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$dHVybnBpa2UtZHVtbXktMQ$\
                          5sYHbQZyEfjOzSbDTlb9tVdRLQ5jA6yDUoYhF6GYb0o";

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(text: &str) -> Arc<Password> {
        Arc::new(Password::presented(text.into()))
    }

    #[test]
    fn a_password_is_8_to_128_characters_and_hard_to_guess() {
        let parse = |text: &str| NewPassword::parse(text.into(), &["ada@lovelace.org", "Ada King"]);
        let is_weak = |text: &str| matches!(parse(text), Err(PasswordRejected::Weak { .. }));

        assert_eq!(parse("sh0rt!x").err(), Some(PasswordRejected::TooShort));
        assert_eq!(
            parse(&"a1b2-".repeat(26)).err(),
            Some(PasswordRejected::TooLong)
        );
        assert!(is_weak("password123"));
        assert!(is_weak("aaaaaaaaaaaa"));
        assert!(is_weak("lovelaceking"));
        assert!(is_weak("ada@lovelace.org"));
        assert!(parse("plum-violin-harbour-7").is_ok());
        assert!(parse("ёжик-кларнет-гавань").is_ok());
        assert!(parse(&"plum-violin-42 ".repeat(8)).is_ok());
    }

    #[test]
    fn a_weak_password_comes_with_advice() {
        let rejected = NewPassword::parse("password123".into(), &[]).err();

        let Some(PasswordRejected::Weak { advice }) = rejected else {
            panic!("{rejected:?}")
        };
        assert!(!advice.is_empty());
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_alone_in_any_unicode_form() {
        let hasher = PasswordHasher::new();
        let composed = NewPassword::parse("caf\u{e9}-violin-harbour".into(), &[])
            .ok()
            .unwrap();
        let hash = hasher.hash(composed).await.unwrap();

        let verify = |text| hasher.verify(presented(text), Some(hash.clone()));

        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(
            verify("cafe\u{301}-violin-harbour").await.unwrap(),
            Verdict::Matches
        );
        assert_eq!(
            verify("cafe-violin-harbour").await.unwrap(),
            Verdict::Differs
        );
    }

    #[tokio::test]
    async fn an_imported_bcrypt_hash_matches_and_is_told_apart() {
        let hasher = PasswordHasher::new();
        let hash = PasswordHash::stored(bcrypt::hash("plum-violin-harbour", 4).unwrap());

        let right = hasher
            .verify(presented("plum-violin-harbour"), Some(hash.clone()))
            .await;
        let wrong = hasher.verify(presented("plum-violin"), Some(hash)).await;

        assert_eq!(right.unwrap(), Verdict::MatchesOldKind);
        assert_eq!(wrong.unwrap(), Verdict::Differs);
    }

    #[tokio::test]
    async fn no_answer_costs_less_than_one_argon2_hash() {
        let hasher = PasswordHasher::new();
        let bcrypt = PasswordHash::stored(bcrypt::hash("plum-violin-harbour", 4).unwrap());
        let damaged = PasswordHash::stored("$argon2id$nonsense".into());
        let cases = [None, Some(bcrypt)];

        for case in cases {
            let before = hasher.computed();
            hasher
                .verify(presented("plum-violin-harbour"), case)
                .await
                .unwrap();
            assert_eq!(hasher.computed(), before + 1);
        }
        let verdict = hasher
            .verify(presented("plum-violin-harbour"), Some(damaged))
            .await;
        assert_eq!(verdict.unwrap(), Verdict::Differs);
    }

    #[test]
    fn the_dummy_hash_is_well_formed_and_of_the_cost_that_new_hashes_have() {
        let hasher = PasswordHasher::new();
        let parsed = argon2::password_hash::phc::PasswordHash::new(DUMMY_HASH).unwrap();
        let made = hasher
            .hash_now(&Password::presented("plum-violin-harbour".into()))
            .unwrap();
        let made = argon2::password_hash::phc::PasswordHash::new(made.expose()).unwrap();

        assert_eq!(parsed.algorithm, made.algorithm);
        assert_eq!(parsed.params.to_string(), made.params.to_string());
        assert_eq!(parsed.hash.map(|h| h.len()), made.hash.map(|h| h.len()));
    }
}
