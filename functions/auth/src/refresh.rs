//! `POST /api/v1/auth/refresh`: the next tokens of a session.

use axum::Json;
use axum::extract::State;
use secrecy::SecretString;
use serde::Deserialize;
use turnpike_shared::auth::{RefreshDecision, RefreshToken, Session, SessionEnd, User};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::stores::Refreshed;
use turnpike_shared::web::ApiJson;
use utoipa::ToSchema;

use crate::App;
use crate::answers::RefreshedBody;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    #[schema(value_type = String, example = "tpr_019a9f3c...")]
    refresh_token: SecretString,
}

/// Exchange a refresh token
///
/// Answers with a new access token and the next refresh token. The predecessor, sent again within
/// 10 seconds while its successor is unused, gets the same successor; any other second use ends
/// the session.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", operation_id = "refresh", tag = "Accounts",
    request_body = RefreshRequest,
    responses((status = 200, description = "The session's next tokens", body = RefreshedBody)),
    extensions(("x-problems" = json!(["invalid-refresh-token", "refresh-token-reused"]))),
    security(()),
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    ApiJson(request): ApiJson<RefreshRequest>,
) -> Result<Json<RefreshedBody>, Problem> {
    let token = RefreshToken::parse(&request.refresh_token).map_err(|_| invalid())?;
    // Whoever loses a race reads once more, and then is the predecessor within its grace.
    for _ in 0..2 {
        let (user, session) = owner(&app, &token).await?;
        let now = app.clock().now();
        let answered = match session.judge(token.generation, now) {
            RefreshDecision::Expired => return Err(invalid()),
            RefreshDecision::EndReused => return Err(end_reused(&app, &session, now).await?),
            RefreshDecision::Repeat => Some(session),
            RefreshDecision::Rotate => match app.accounts().refresh(&session, now).await? {
                Refreshed::Yes(rotated) => Some(rotated),
                Refreshed::Superseded => None,
            },
        };
        if let Some(session) = answered {
            return Ok(Json(RefreshedBody {
                tokens: app.tokens(&user, &session, now).await?,
            }));
        }
    }
    Err(invalid())
}

/// The user and the session that a token was made for, if both stand and it was made here.
async fn owner(app: &App, token: &RefreshToken) -> Result<(User, Session), Problem> {
    let users = app.accounts().users();
    let (user, standing, session) = tokio::try_join!(
        users.user(token.user),
        users.standing(token.user),
        app.accounts().session(token.user, token.session),
    )?;
    let (Some(user), Some(standing), Some(session)) = (user, standing, session) else {
        return Err(invalid());
    };
    let is_ours = app.refresh_key().made(token, &session.salt);
    if is_ours && user.is_active && standing.admits(session.id) {
        Ok((user, session))
    } else {
        Err(invalid())
    }
}

async fn end_reused(app: &App, session: &Session, now: Timestamp) -> Result<Problem, Problem> {
    let how = SessionEnd::RefreshTokenReused;
    let ended = app
        .accounts()
        .end_session(session.user, session.id, how, now);
    app.admission().changing(session.user, ended).await?;
    tracing::warn!(session = %session.id, user = %session.user, "a refresh token was used twice; its session ended");
    Ok(Problem::new(
        ProblemCode::RefreshTokenReused,
        "This refresh token was used before; the session has ended.",
    ))
}

fn invalid() -> Problem {
    Problem::new(
        ProblemCode::InvalidRefreshToken,
        "The refresh token is unknown or has expired.",
    )
}
