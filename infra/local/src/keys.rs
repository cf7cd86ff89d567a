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
#[derive(Serialize, Deserialize)]
pub(crate) struct StackKeys {
    algorithm: Algorithm,
    pub(crate) signing_keys: String,
    pub(crate) auth_secret: String,
    /// A folder from before there was one gets another at every start, which costs its users
    /// their place in a list.
    #[serde(default = "new_secret")]
    pub(crate) cursor_secret: String,
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
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| StartError::Keys(format!("{}: {error}", file.display()))),
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
