//! `POST /api/v1/preferences`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::preferences::KeptPreferences;
use turnpike_shared::web::{Answer, AnswerKeeper, ApiJson};

use super::{PreferencesBody, PreferencesRequest};
use crate::App;

/// Set the own preferences
///
/// A user has one set of them.
#[utoipa::path(
    post, path = "/api/v1/preferences", operation_id = "createPreferences", tag = "Content",
    request_body = PreferencesRequest,
    responses((status = 201, description = "The preferences are set", body = PreferencesBody)),
    extensions(("x-problems" = json!(["preferences-exist"]))),
    security(("access_token" = ["preferences:write"]), ("api_key" = ["preferences:write"])),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    keeper: AnswerKeeper,
    ApiJson(request): ApiJson<PreferencesRequest>,
) -> Result<Answer, Problem> {
    let now = app.now();
    let kept = KeptPreferences {
        preferences: request.parse()?,
        created_at: now,
        updated_at: now,
    };
    let answer = Answer::json(StatusCode::CREATED, &PreferencesBody::from(kept.clone()));
    let kept_answer = keeper.keep(&answer, None);
    let created = app.preferences();
    let created = created.create(caller.id(), &kept, kept_answer.as_ref());
    if created.await? {
        Ok(answer)
    } else {
        Err(Problem::new(
            ProblemCode::PreferencesExist,
            "The user has preferences; PUT replaces them.",
        ))
    }
}
