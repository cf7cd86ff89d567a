//! The secrets that upstreams are called with: read when they are first needed, and kept for some
//! minutes.
//!
//! Nothing in here is ever logged; what a policy names is its own business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::UpstreamError;
use crate::clock::{Clock, Timestamp};
use crate::config::{Environment, UpstreamSecretSource};
use crate::errors::chain;
use crate::stores::{SecretError, read_secret};

/// How long a secret is used before it is read again.
const KEPT_FOR: Duration = Duration::from_mins(5);
/// How soon a secret that an upstream does not take may be read again: whoever makes an upstream
/// say 401 must not make Secrets Manager busy.
const REREAD_AFTER: Duration = Duration::from_secs(10);

/// The secrets of a process.
pub(super) struct Secrets {
    env: Environment,
    source: UpstreamSecretSource,
    clock: Clock,
    held: Mutex<HashMap<String, Held>>,
    /// Held by whoever reads a secret, so that nobody reads it beside them.
    reading: tokio::sync::Mutex<()>,
}

/// A secret as it was read.
#[derive(Clone)]
pub(super) struct Held {
    secret: SecretString,
    read_at: Timestamp,
}

impl Held {
    /// The secret as the value of a header, which is not shown by `Debug`.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        header(&self.secret)
    }

    fn is_same(&self, other: &Self) -> bool {
        let bytes = |held: &'_ Self| held.secret.expose_secret().as_bytes().to_vec();
        verify_slices_are_equal(&bytes(self), &bytes(other)).is_ok()
    }
}

fn header(secret: &SecretString) -> Option<HeaderValue> {
    // An editor's newline at the end is none of the secret.
    let mut value = HeaderValue::from_str(secret.expose_secret().trim()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Secrets {
    pub(super) fn new(env: &Environment, source: UpstreamSecretSource, clock: Clock) -> Self {
        Self {
            env: env.clone(),
            source,
            clock,
            held: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The secret by its name in the policy. One that cannot be read again goes on.
    pub(super) async fn get(&self, name: &str) -> Result<Held, UpstreamError> {
        if let Some(held) = self.fresh(name, KEPT_FOR) {
            return Ok(held);
        }
        let _turn = self.reading.lock().await;
        if let Some(held) = self.fresh(name, KEPT_FOR) {
            return Ok(held);
        }
        match (self.read(name).await, self.held(name)) {
            (Ok(read), _) => Ok(read),
            (Err(error), Some(held)) => {
                let cause = chain(&error);
                tracing::warn!(secret = name, cause, "a secret could not be read again");
                Ok(self.hold(name, held.secret))
            }
            (Err(error), None) => Err(UpstreamError::Secret(Arc::new(error))),
        }
    }

    /// The secret that has taken the place of `used`, if there is one.
    pub(super) async fn newer(&self, name: &str, used: &Held) -> Option<Held> {
        let _turn = self.reading.lock().await;
        let held = match self.fresh(name, REREAD_AFTER) {
            Some(held) => Ok(held),
            None => self.read(name).await,
        };
        match held {
            Ok(held) => (!held.is_same(used)).then_some(held),
            Err(error) => {
                let cause = chain(&error);
                tracing::warn!(secret = name, cause, "a secret could not be read again");
                None
            }
        }
    }

    async fn read(&self, name: &str) -> Result<Held, SecretError> {
        let source = self.source.of(name)?;
        let secret = read_secret(&self.env, &source).await?;
        if header(&secret).is_none() {
            return Err(SecretError::NoHeader);
        }
        Ok(self.hold(name, secret))
    }

    fn hold(&self, name: &str, secret: SecretString) -> Held {
        let read_at = self.clock.now();
        let held = Held { secret, read_at };
        self.all().insert(name.to_owned(), held.clone());
        held
    }

    fn held(&self, name: &str) -> Option<Held> {
        self.all().get(name).cloned()
    }

    fn fresh(&self, name: &str, age: Duration) -> Option<Held> {
        let now = self.clock.now();
        self.held(name).filter(|held| now.since(held.read_at) < age)
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
