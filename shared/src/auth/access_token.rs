//! Access tokens: JWTs by the profile of RFC 9068, verified by the rules of RFC 8725.
//!
//! A verifier takes only what this issuer makes: one algorithm, one type, header members that are
//! known, a key named by its thumbprint in the stage's own set. Whether the session and the user
//! behind a good token still stand is decided elsewhere.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::scope::space_separated;
use super::verified_tokens::TokenDigest;
use super::{KeySet, QuotaOverride, Role, ScopeSet, SigningKeys, Tier, User};
use crate::clock::Timestamp;
use crate::ids::{self, SessionId, UserId};

/// How long an access token lives.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_mins(30);

/// The type that tells an access token from any other JWT (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// Turnpike's own sign-in is the only client of its tokens (RFC 9068, section 2.2).
const CLIENT_ID: &str = "turnpike";
/// No token made here is longer; what is need not be parsed.
const MAX_BYTES: usize = 8 * 1024;
/// How far another instance's clock may be ahead.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// What a token states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    pub client_id: String,
    pub sid: SessionId,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    pub tier: Tier,
    pub roles: Vec<Role>,
    #[serde(with = "space_separated")]
    pub scope: ScopeSet,
    /// Whether the user's address was verified (OpenID Connect Core 1.0, section 5.1).
    pub email_verified: bool,
    /// Limits of this user that replace the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaOverride>,
    /// The user's epoch when the token was made.
    pub ep: u64,
}

/// Why a token is not taken; for the log, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum TokenRejected {
    #[error("longer than any token made here")]
    TooLong,
    #[error("not a JWS in compact form")]
    Malformed,
    #[error("a header that is not one of ours")]
    Header(#[source] serde_json::Error),
    #[error("the wrong type or algorithm")]
    WrongKind,
    #[error("no key of that name")]
    UnknownKey,
    #[error("a signature or claims that do not hold")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    #[error("expired, or not valid yet")]
    Untimely,
}

/// The header of every token made here. Any other member (`jwk`, `jku`, `x5u`, `crit`, ...) would
/// ask the verifier to trust or to understand something, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// Whose tokens these are and whom they are for.
#[derive(Clone, Debug)]
pub struct TokenProfile {
    issuer: String,
    audience: String,
}

impl TokenProfile {
    /// `issuer` is the stage's own origin.
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: format!("{issuer}/api/v1"),
        }
    }

    /// Signs an access token for a session of `user`.
    pub fn issue(
        &self,
        keys: &SigningKeys,
        user: &User,
        session: SessionId,
        now: Timestamp,
    ) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let (kid, key) = keys.current(now);
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(kid.to_owned()),
            ..Header::new(keys.algorithm().jwt())
        };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.id,
            client_id: CLIENT_ID.to_owned(),
            sid: session,
            jti: ids::unprefixed(now),
            iat: now.seconds(),
            exp: now.plus(ACCESS_TOKEN_LIFETIME).seconds(),
            nbf: None,
            tier: user.tier.clone(),
            roles: user.roles.clone(),
            scope: ScopeSet::of_roles(&user.roles),
            email_verified: user.is_verified,
            quota: user.quota_override,
            ep: user.epoch,
        };
        jsonwebtoken::encode(&header, &claims, key).map(Into::into)
    }

    /// Takes a token that this issuer made for this audience and that is valid now. Its signature is
    /// verified once for as long as the set of keys is used.
    pub fn verify(
        &self,
        keys: &KeySet,
        token: &SecretString,
        now: Timestamp,
    ) -> Result<Claims, TokenRejected> {
        let token = token.expose_secret();
        if token.len() > MAX_BYTES {
            return Err(TokenRejected::TooLong);
        }
        let digest = TokenDigest::of(token);
        let known = keys.verified().get(digest);
        // Another stage's profile may be asked with the same keys.
        if let Some(claims) = known.filter(|claims| self.is_of(claims)) {
            return timely(claims, now);
        }
        let claims = timely(self.verified(keys, token)?, now)?;
        keys.verified().insert(digest, claims.clone());
        Ok(claims)
    }

    /// The claims of a token whose signature is good, whenever it is valid.
    fn verified(&self, keys: &KeySet, token: &str) -> Result<Claims, TokenRejected> {
        let header = header_of(token)?;
        if header.typ != TYPE || header.alg != keys.algorithm().name() {
            return Err(TokenRejected::WrongKind);
        }
        let key = keys.key(&header.kid).ok_or(TokenRejected::UnknownKey)?;
        Ok(jsonwebtoken::decode(token, key, &self.validation(keys))?.claims)
    }

    fn is_of(&self, claims: &Claims) -> bool {
        claims.iss == self.issuer && claims.aud == self.audience
    }

    fn validation(&self, keys: &KeySet) -> Validation {
        let mut validation = Validation::new(keys.algorithm().jwt());
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the machine's clock; `verify` is told the time.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}

/// Claims that are valid now.
fn timely(claims: Claims, now: Timestamp) -> Result<Claims, TokenRejected> {
    let is_over = claims.exp <= now.seconds();
    let latest_start = now.plus(CLOCK_SKEW).seconds();
    let is_early = claims.iat > latest_start || claims.nbf.is_some_and(|nbf| nbf > latest_start);
    if is_over || is_early {
        Err(TokenRejected::Untimely)
    } else {
        Ok(claims)
    }
}

/// Which key a token says it is signed with; `None` for what is no token of this kind.
pub fn key_name_of(token: &SecretString) -> Option<String> {
    let token = token.expose_secret();
    if token.len() > MAX_BYTES {
        return None;
    }
    header_of(token).ok().map(|header| header.kid)
}

fn header_of(token: &str) -> Result<StrictHeader, TokenRejected> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenRejected::Malformed);
    };
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| TokenRejected::Malformed)?;
    serde_json::from_slice(&header).map_err(TokenRejected::Header)
}

#[cfg(test)]
mod tests;
