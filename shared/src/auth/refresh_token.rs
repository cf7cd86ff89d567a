//! Refresh tokens: `tpr_<user>_<session>_<generation>_<MAC>`.
//!
//! Nothing that could be replayed is stored: the MAC is made with a key that only `auth` holds,
//! over user, session, generation and the session's random salt. Every generation that a session
//! ever had can so be recognised, and a stolen database makes no token.
//! (`docs/decisions/0002-refresh-token-names-its-user.md` says why the user stands in it.)

use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::StageSecret;
use crate::ids::{SessionId, UserId};

const PREFIX: &str = "tpr_";

/// What was given does not have the form of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct InvalidRefreshToken;

/// A refresh token as presented: well formed, its MAC not yet checked.
pub struct RefreshToken {
    pub user: UserId,
    pub session: SessionId,
    pub generation: u64,
    mac: Vec<u8>,
}

impl RefreshToken {
    pub fn parse(token: &SecretString) -> Result<Self, InvalidRefreshToken> {
        let rest = token
            .expose_secret()
            .strip_prefix(PREFIX)
            .ok_or(InvalidRefreshToken)?;
        let mut parts = rest.splitn(4, '_');
        let mut next = || parts.next().ok_or(InvalidRefreshToken);
        let user = id_from_hex(UserId::PREFIX, next()?)?;
        let session = id_from_hex(SessionId::PREFIX, next()?)?;
        let generation = next()?;
        let is_canonical = generation.bytes().all(|byte| byte.is_ascii_digit())
            && (generation == "0" || !generation.starts_with('0'));
        if !is_canonical {
            return Err(InvalidRefreshToken);
        }
        let generation = generation.parse().map_err(|_| InvalidRefreshToken)?;
        let mac = URL_SAFE_NO_PAD
            .decode(next()?)
            .map_err(|_| InvalidRefreshToken)?;
        Ok(Self {
            user,
            session,
            generation,
            mac,
        })
    }
}

fn id_from_hex<T: FromStr>(prefix: &str, hex: &str) -> Result<T, InvalidRefreshToken> {
    format!("{prefix}{hex}")
        .parse()
        .map_err(|_| InvalidRefreshToken)
}

/// The key that makes and checks refresh tokens.
pub struct RefreshKey(hmac::Key);

impl RefreshKey {
    pub fn new(secret: &StageSecret) -> Self {
        Self(secret.hmac_key("refresh-token"))
    }

    /// The token of a session's `generation`; the same arguments always give the same token.
    pub fn mint(
        &self,
        user: UserId,
        session: SessionId,
        generation: u64,
        salt: &[u8],
    ) -> SecretString {
        let message = message(user, session, generation, salt);
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &message));
        let (user, session) = (user.to_string(), session.to_string());
        let user = &user[UserId::PREFIX.len()..];
        let session = &session[SessionId::PREFIX.len()..];
        format!("{PREFIX}{user}_{session}_{generation}_{mac}").into()
    }

    /// Whether `token` was made here for a session with this salt; compared in constant time.
    pub fn made(&self, token: &RefreshToken, salt: &[u8]) -> bool {
        let message = message(token.user, token.session, token.generation, salt);
        hmac::verify(&self.0, &message, &token.mac).is_ok()
    }
}

/// Every part but the last has a fixed length, so no two sets of parts read alike.
fn message(user: UserId, session: SessionId, generation: u64, salt: &[u8]) -> Vec<u8> {
    let mut message = format!("{user}{session}{generation:020}").into_bytes();
    message.extend_from_slice(salt);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn key() -> RefreshKey {
        RefreshKey::new(&StageSecret::new(&"0123456789abcdef0123456789abcdef".into()).unwrap())
    }

    fn ids() -> (UserId, SessionId) {
        let at = Timestamp::from_millis(1_795_207_396_042);
        (UserId::new(at), SessionId::new(at))
    }

    #[test]
    fn a_token_reads_back_and_is_known_as_made_here() {
        let (user, session) = ids();

        let token = RefreshToken::parse(&key().mint(user, session, 7, b"salt")).unwrap();

        assert_eq!(
            (token.user, token.session, token.generation),
            (user, session, 7)
        );
        assert!(key().made(&token, b"salt"));
    }

    #[test]
    fn a_token_of_another_generation_session_salt_or_key_is_not_ours() {
        let (user, session) = ids();
        let other_session = ids().1;
        let minted = key().mint(user, session, 7, b"salt");
        let token = || RefreshToken::parse(&minted).unwrap();
        let other = StageSecret::new(&"another-secret-another-secret-123".into()).unwrap();

        assert!(!key().made(
            &RefreshToken {
                generation: 8,
                ..token()
            },
            b"salt"
        ));
        assert!(!key().made(
            &RefreshToken {
                session: other_session,
                ..token()
            },
            b"salt"
        ));
        assert!(!key().made(
            &RefreshToken {
                user: ids().0,
                ..token()
            },
            b"salt"
        ));
        assert!(!key().made(&token(), b"tlas"));
        assert!(!RefreshKey::new(&other).made(&token(), b"salt"));
    }

    #[test]
    fn what_does_not_look_like_a_token_is_refused() {
        let (user, session) = ids();
        let good = key().mint(user, session, 7, b"salt");
        let good = good.expose_secret();
        let cases = [
            String::new(),
            "tpr_".into(),
            good.replace("tpr_", "tpx_"),
            good.replace("_7_", "_07_"),
            good.replace("_7_", "_+7_"),
            good.replace("_7_", "_-1_"),
            good.replace("_7_", "_99999999999999999999_"),
            good.replace("_7_", "__"),
            format!("{good}="),
            format!("{good}!"),
            good[..60].into(),
            "x".repeat(20_000),
        ];

        for case in cases {
            assert!(
                RefreshToken::parse(&case.clone().into()).is_err(),
                "{case:?}"
            );
        }
    }
}
