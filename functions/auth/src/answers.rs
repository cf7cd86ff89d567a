//! What the routes answer with.

use serde::Serialize;
use turnpike_shared::auth::Session;
use turnpike_shared::auth::access_token::ACCESS_TOKEN_LIFETIME;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::ids::SessionId;
use turnpike_shared::web::UserObject;
use utoipa::ToSchema;

/// A session's tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    /// A JWT by RFC 9068; send it as `Authorization: Bearer`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiJ9...")]
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds that the access token lives.
    #[schema(example = 1800)]
    expires_in: u64,
    /// Good for one use at `/api/v1/auth/refresh`; keep it secret.
    #[schema(example = "tpr_019a9f3c...")]
    refresh_token: String,
    /// Seconds that the refresh token lives if it is not used.
    #[schema(example = 604_800)]
    refresh_expires_in: u64,
    #[schema(value_type = String, example = "ses_019a9f3c1c2a7d3e8f00112233445566")]
    session_id: SessionId,
}

impl TokensBody {
    pub(crate) fn new(
        access_token: &str,
        refresh_token: &str,
        refresh_expires_in: u64,
        session_id: SessionId,
    ) -> Self {
        Self {
            access_token: access_token.to_owned(),
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFETIME.as_secs(),
            refresh_token: refresh_token.to_owned(),
            refresh_expires_in,
            session_id,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = TokensAnswer)]
pub(crate) struct RefreshedBody {
    pub(crate) tokens: TokensBody,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignedInAnswer)]
pub(crate) struct SignedInBody {
    pub(crate) user: UserObject,
    pub(crate) tokens: TokensBody,
}

/// A device that is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionObject {
    #[schema(value_type = String, example = "ses_019a9f3c1c2a7d3e8f00112233445566")]
    id: SessionId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the session's tokens were last issued.
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    /// What the sign-in said of its program, cut to 256 characters.
    #[schema(required)]
    user_agent: Option<String>,
    /// The address that the sign-in came from.
    #[schema(required, example = "203.0.113.7")]
    ip: Option<String>,
    /// Whether this is the session that asks.
    current: bool,
}

impl SessionObject {
    pub(crate) fn new(session: Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.rotated_at,
            user_agent: session.user_agent,
            ip: session.ip,
            current: session.id == current,
        }
    }
}
