//! The stack's own keys: made at the first start, kept beside the data.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use turnpike_shared::auth::one_time_token::random_bytes;
use turnpike_shared::auth::{Algorithm, OneTimeToken, SigningKeys};
use turnpike_shared::clock::Clock;

use crate::StartError;

/// What the functions that need keys are given.
#[derive(Serialize)]
pub(crate) struct StackKeys {
    algorithm: Algorithm,
    pub(crate) signing_keys: String,
    pub(crate) auth_secret: String,
    pub(crate) cursor_secret: String,
    pub(crate) audit_secret: String,
}

/// What the file of a folder holds, which may be older than some of the keys.
#[derive(Deserialize)]
struct KeptKeys {
    algorithm: Algorithm,
    signing_keys: String,
    auth_secret: String,
    cursor_secret: Option<String>,
    audit_secret: Option<String>,
}

impl KeptKeys {
    fn is_whole(&self) -> bool {
        self.cursor_secret.is_some() && self.audit_secret.is_some()
    }

    /// The same keys, and new ones for those that are missing.
    fn completed(self) -> StackKeys {
        StackKeys {
            algorithm: self.algorithm,
            signing_keys: self.signing_keys,
            auth_secret: self.auth_secret,
            cursor_secret: self.cursor_secret.unwrap_or_else(new_secret),
            audit_secret: self.audit_secret.unwrap_or_else(new_secret),
        }
    }
}

fn new_secret() -> String {
    OneTimeToken::generate().expose().to_owned()
}

impl StackKeys {
    /// The keys that are kept in `data`, or new ones, which are kept there if there is a folder.
    pub(crate) fn load(data: Option<&Path>, algorithm: Algorithm) -> Result<Self, StartError> {
        let Some(folder) = data else {
            return Self::generate(algorithm);
        };
        let file = folder.join(format!("keys-{}.json", algorithm.name()));
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let kept: KeptKeys = serde_json::from_str(&text)
                    .map_err(|error| StartError::Keys(format!("{}: {error}", file.display())))?;
                let is_whole = kept.is_whole();
                let keys = kept.completed();
                if !is_whole {
                    keys.write(&file)?;
                }
                Ok(keys)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let keys = Self::generate(algorithm)?;
                keys.write(&file)?;
                Ok(keys)
            }
            Err(error) => Err(StartError::Keys(format!("{}: {error}", file.display()))),
        }
    }

    fn generate(algorithm: Algorithm) -> Result<Self, StartError> {
        let signing_keys = signing_keys_document(algorithm, None)?;
        Ok(Self {
            algorithm,
            signing_keys: signing_keys.expose_secret().to_owned(),
            auth_secret: new_secret(),
            cursor_secret: new_secret(),
            audit_secret: new_secret(),
        })
    }

    /// Writes the keys for their owner's eyes only, and whole or not at all.
    fn write(&self, file: &Path) -> Result<(), StartError> {
        let failed =
            |error: std::io::Error| StartError::Keys(format!("{}: {error}", file.display()));
        let text =
            serde_json::to_string(self).map_err(|error| StartError::Keys(error.to_string()))?;
        let unfinished = file.with_extension(format!("{}.new", u64::from_be_bytes(random_bytes())));
        let mut options = std::fs::OpenOptions::new();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(failed)?;
        out.write_all(text.as_bytes())
            .and_then(|()| out.sync_all())
            .map_err(failed)?;
        std::fs::rename(&unfinished, file).map_err(failed)
    }
}

/// A new document of signing keys for a stage, in the form that `auth` reads.
pub fn signing_keys_document(
    algorithm: Algorithm,
    issuer: Option<&str>,
) -> Result<SecretString, StartError> {
    SigningKeys::generate(algorithm, issuer, Clock::system().now())
        .map_err(|error| StartError::Keys(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_from_before_there_was_a_key_keeps_the_one_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let made = StackKeys::load(Some(folder.path()), Algorithm::ES256).unwrap();
        let file = folder.path().join("keys-ES256.json");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut older: serde_json::Value = serde_json::from_str(&text).unwrap();
        older.as_object_mut().unwrap().remove("audit_secret");
        std::fs::write(&file, older.to_string()).unwrap();

        let completed = StackKeys::load(Some(folder.path()), Algorithm::ES256).unwrap();
        let again = StackKeys::load(Some(folder.path()), Algorithm::ES256).unwrap();

        assert_eq!(completed.auth_secret, made.auth_secret);
        assert_ne!(completed.audit_secret, made.audit_secret);
        assert_eq!(again.audit_secret, completed.audit_secret);
    }
}
