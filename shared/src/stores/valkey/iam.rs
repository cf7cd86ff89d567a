//! The token with which a function signs in to its cache: IAM authentication of ElastiCache.
//!
//! There is no password to keep or rotate. The function signs a request that it never sends, with
//! the credentials that Lambda gave it, and hands the signed address to the cache in its place
//! (ElastiCache User Guide, "Authenticating with IAM"). Nothing here opens a connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningError, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Timestamp;
use crate::config::{self, ConfigError, Environment};

/// How long a token may be used to sign in, which is also the longest that ElastiCache takes. A
/// connection outlives it by far: the cache ends one 12 hours after its last sign-in.
pub const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// The service's name in what is signed.
const SERVICE: &str = "elasticache";
/// The address is signed with a scheme, which is not part of the token.
const SCHEME: &str = "http://";
/// ElastiCache takes no longer names of caches and users.
const MAX_NAME_CHARS: usize = 40;

/// The credentials that Lambda put into the function's environment.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    key_id: String,
    secret: SecretString,
    session: Option<SecretString>,
}

impl AwsCredentials {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let (key_id, secret, session) = config::aws_credentials(env)?;
        Ok(Self {
            key_id: key_id.to_owned(),
            secret,
            session,
        })
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0:?} is not the name of a cache or of its user")]
    Name(String),
    #[error("the time is before the year 1970")]
    Time,
    #[error("the request to connect could not be signed")]
    Signing(#[from] SigningError),
    #[error("what is needed to sign is incomplete")]
    Parameters(#[from] v4::signing_params::BuildError),
}

/// The token with which `user` signs in to the serverless cache `cache` within 15 minutes of
/// `now`. Making it asks nobody; the cache asks IAM when it is shown the token.
pub fn connect_token(
    cache: &str,
    user: &str,
    region: &str,
    credentials: &AwsCredentials,
    now: Timestamp,
) -> Result<SecretString, TokenError> {
    let (cache, user) = (name(cache)?, name(user)?);
    let since_epoch = u64::try_from(now.millis()).map_err(|_| TokenError::Time)?;
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(since_epoch);
    let address =
        format!("{SCHEME}{cache}/?Action=connect&User={user}&ResourceType=ServerlessCache");
    let session = credentials.session.as_ref();
    let identity = Credentials::new(
        &credentials.key_id,
        credentials.secret.expose_secret(),
        session.map(|token| token.expose_secret().to_owned()),
        None,
        "environment",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(TOKEN_LIFETIME);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(time)
        .settings(settings)
        .build()?
        .into();
    let unsigned = SignableRequest::new(
        "GET",
        address.as_str(),
        std::iter::empty(),
        SignableBody::empty(),
    )?;
    let (instructions, _) = sign(unsigned, &params)?.into_parts();
    let query = form_urlencoded::Serializer::new(address)
        .extend_pairs(instructions.params())
        .finish();
    Ok(query[SCHEME.len()..].into())
}

/// Names are letters, digits and hyphens, and are kept in lower case whatever one wrote.
fn name(text: &str) -> Result<String, TokenError> {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= MAX_NAME_CHARS
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_name {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(TokenError::Name(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use aws_lc_rs::{digest, hmac};

    use super::*;

    const KEY_ID: &str = "AKIDEXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SESSION: &str = "FwoGZXIvYXdzEXAMPLE//token+with/all=of~it==";
    const REGION: &str = "eu-central-1";
    /// 2026-11-20T20:43:16.042Z.
    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn credentials(session: Option<&str>) -> AwsCredentials {
        AwsCredentials {
            key_id: KEY_ID.into(),
            secret: SECRET.into(),
            session: session.map(SecretString::from),
        }
    }

    fn token(cache: &str, user: &str, session: Option<&str>, now: Timestamp) -> String {
        connect_token(cache, user, REGION, &credentials(session), now)
            .unwrap()
            .expose_secret()
            .to_owned()
    }

    fn parameters(token: &str) -> BTreeMap<String, String> {
        let (_, query) = token.split_once('?').unwrap();
        form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    fn mac(key: &[u8], message: &str) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
    }

    /// Everything but the letters, digits and `-._~` of RFC 3986 as `%XX`.
    fn encoded(text: &str) -> String {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                write!(encoded, "%{byte:02X}").unwrap();
            }
            encoded
        })
    }

    /// The signature by the steps of the IAM User Guide, "Create a signed AWS API request", for a
    /// GET of `/` with no body and no header but the host.
    fn signature(host: &str, signed: &BTreeMap<String, String>) -> String {
        let sha256 = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let query: Vec<String> = signed
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let request = format!(
            "GET\n/\n{}\nhost:{host}\n\nhost\n{}",
            query.join("&"),
            sha256("")
        );
        let (day, scope) = ("20261120", "20261120/eu-central-1/elasticache/aws4_request");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n20261120T204316Z\n{scope}\n{}",
            sha256(&request)
        );
        let key = [REGION, "elasticache", "aws4_request"]
            .into_iter()
            .fold(mac(format!("AWS4{SECRET}").as_bytes(), day), |key, part| {
                mac(&key, part)
            });
        hex(&mac(&key, &to_sign))
    }

    #[test]
    fn a_token_says_who_connects_to_what_and_until_when() {
        let token = token("turnpike-dev", "turnpike-dev-functions", Some(SESSION), NOW);

        assert!(
            token.starts_with("turnpike-dev/?Action=connect&User=turnpike-dev-functions&"),
            "{token}"
        );
        let parameters = parameters(&token);
        let expected = [
            ("Action", "connect"),
            ("User", "turnpike-dev-functions"),
            ("ResourceType", "ServerlessCache"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            (
                "X-Amz-Credential",
                "AKIDEXAMPLE/20261120/eu-central-1/elasticache/aws4_request",
            ),
            ("X-Amz-Date", "20261120T204316Z"),
            ("X-Amz-Expires", "900"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Security-Token", SESSION),
        ];
        for (name, value) in expected {
            assert_eq!(
                parameters.get(name).map(String::as_str),
                Some(value),
                "{name}"
            );
        }
        assert_eq!(
            parameters.len(),
            expected.len() + 1,
            "and the signature: {token}"
        );
    }

    #[test]
    fn the_signature_is_the_one_that_the_documented_steps_give() {
        for session in [None, Some(SESSION)] {
            let token = token("turnpike-dev", "turnpike-dev-functions", session, NOW);

            let mut signed = parameters(&token);
            let found = signed.remove("X-Amz-Signature").unwrap();
            assert_eq!(found, signature("turnpike-dev", &signed), "{session:?}");
        }
    }

    #[test]
    fn without_a_session_there_is_no_session_token() {
        let token = token("turnpike-dev", "functions", None, NOW);

        assert!(!token.contains("X-Amz-Security-Token"), "{token}");
    }

    #[test]
    fn names_are_signed_in_lower_case() {
        assert_eq!(
            token("Turnpike-Dev", "Functions", None, NOW),
            token("turnpike-dev", "functions", None, NOW),
        );
    }

    #[test]
    fn a_token_depends_on_nothing_but_its_arguments() {
        let first = token("cache", "user", Some(SESSION), NOW);
        let later = NOW.plus(Duration::from_secs(1));

        assert_eq!(first, token("cache", "user", Some(SESSION), NOW));
        assert_ne!(first, token("cache", "user", Some(SESSION), later));
        assert_ne!(first, token("other", "user", Some(SESSION), NOW));
        assert_ne!(first, token("cache", "other", Some(SESSION), NOW));
    }

    #[test]
    fn the_secret_key_is_never_shown() {
        let credentials = credentials(Some(SESSION));
        let token = connect_token("cache", "user", REGION, &credentials, NOW).unwrap();

        let bare = token.expose_secret();
        assert!(!bare.contains(SECRET) && !bare.contains(&encoded(SECRET)));
        let debug = format!("{credentials:?} {token:?}");
        for secret in [SECRET, SESSION, "X-Amz-Signature"] {
            assert!(!debug.contains(secret), "{debug}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(41);
        for wrong in [
            "",
            "1cache",
            "-cache",
            "a/b",
            "a&User=admin",
            "a b",
            "a.b",
            &long,
        ] {
            for (cache, user) in [(wrong, "user"), ("cache", wrong)] {
                let refused = connect_token(cache, user, REGION, &credentials(None), NOW);
                assert!(matches!(refused, Err(TokenError::Name(_))), "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_time_before_the_epoch_is_refused() {
        let before = Timestamp::from_millis(-1);

        let refused = connect_token("cache", "user", REGION, &credentials(None), before);

        assert!(matches!(refused, Err(TokenError::Time)));
    }
}
