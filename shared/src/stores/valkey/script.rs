//! Scripts: what is done at the server in one step, sent by its digest.

use aws_lc_rs::digest;
use redis::{Cmd, RedisResult, Value};

use super::{Live, ValkeyLink};

/// A script and the digest that the server knows it by.
pub(crate) struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let digest = sha1.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            text,
            digest: digest.collect(),
        }
    }
}

/// Keys and arguments of a script.
#[derive(Default)]
pub(crate) struct Call {
    pub(crate) keys: Vec<String>,
    pub(crate) args: Vec<Vec<u8>>,
}

impl Call {
    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        command.arg(&self.keys).arg(&self.args);
        command
    }
}

impl ValkeyLink {
    /// Runs a script by its digest, and by its text where the server does not know it yet.
    pub(crate) async fn run(
        &self,
        live: &Live,
        script: &Script,
        call: &Call,
    ) -> RedisResult<Value> {
        let by_digest = call.command("EVALSHA", &script.digest);
        match self.query(live, &by_digest).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let by_text = call.command("EVAL", script.text);
                self.query(live, &by_text).await
            }
            answer => answer,
        }
    }
}
