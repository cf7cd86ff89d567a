//! `GET /api/v1/users/api-keys`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::stores::KeysShown;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::IntoParams;

use super::ApiKeyObject;
use crate::App;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeysQuery {
    /// How many items to answer with, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before; left out for the first page.
    cursor: Option<String>,
    /// `revoked`: keys that are revoked or have expired, too.
    #[param(pattern = "^revoked$")]
    include: Option<String>,
}

impl KeysQuery {
    /// Which keys are shown, and what their list is called in its cursors.
    fn shown(&self) -> Result<(KeysShown, &'static str), Problem> {
        match self.include.as_deref() {
            None => Ok((KeysShown::Live, "api-keys")),
            Some("revoked") => Ok((KeysShown::All, "api-keys, revoked ones included")),
            Some(_) => {
                let detail = "What can be included is: revoked.";
                let error = FieldError::new("include", "invalid", detail);
                Err(Problem::validation(vec![error]))
            }
        }
    }
}

/// List API keys
///
/// The caller's live keys, newest first, or all that there ever were.
#[utoipa::path(
    get, path = "/api/v1/users/api-keys", operation_id = "listApiKeys", tag = "API keys",
    params(KeysQuery),
    responses((status = 200, description = "A page of keys", body = Page<ApiKeyObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["keys:read"]), ("api_key" = ["keys:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<KeysQuery>,
) -> Result<Json<Page<ApiKeyObject>>, Problem> {
    let owner = caller.id().to_string();
    let (shown, name) = query.shown()?;
    let listed = ListOf {
        name,
        caller: &owner,
    };
    let query = ListQuery::new(query.limit, query.cursor);
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|id| id.parse().ok());
    let now = app.now();
    let page = app.users().api_keys(caller.id(), shown, behind, limit, now);
    let page = page.await?;
    let last = page.keys.last().filter(|_| page.has_more);
    let next_cursor = last.map(|key| app.cursor_key().seal(&key.id.to_string(), &listed));
    let items = page.keys.iter().map(|key| ApiKeyObject::new(key, now));
    Ok(Json(Page {
        items: items.collect(),
        next_cursor,
    }))
}
