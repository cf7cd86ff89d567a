//! A sample upstream: a library that searches its books, takes its time, and breaks when it is told
//! to. It shows what `/query` and `/proxy` are for before there is an upstream of one's own; a
//! deployed stage has none.

mod books;
mod policy;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::ApiJson;

pub(crate) use policy::with_library;

/// Where its base URL ends.
pub(super) const PATH: &str = "/_local/sample/library";
/// How long it takes for every answer, as an archive or a model does.
const TAKES: Duration = Duration::from_millis(700);
/// For how long its answers may be kept.
const FRESH: &str = "public, max-age=60";

/// Whether it does its work.
#[derive(Clone, Default)]
struct Library {
    is_failing: Arc<AtomicBool>,
}

pub(crate) fn router() -> Router {
    Router::new()
        .route(PATH, get(search))
        .route(&format!("{PATH}/books/{{id}}"), get(show))
        .route("/_local/sample", post(change))
        .with_state(Library::default())
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

async fn search(
    State(library): State<Library>,
    Query(search): Query<Search>,
    headers: HeaderMap,
) -> Response {
    library.answer(&headers, Some(books::find(&search.q))).await
}

async fn show(
    State(library): State<Library>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    library.answer(&headers, books::book(&id)).await
}

/// How it is to do from now on.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Behaviour {
    failing: bool,
}

async fn change(
    State(library): State<Library>,
    ApiJson(behaviour): ApiJson<Behaviour>,
) -> Result<Json<Behaviour>, Problem> {
    let failing = behaviour.failing;
    library.is_failing.store(failing, Ordering::Relaxed);
    Ok(Json(behaviour))
}

impl Library {
    /// Answers with what was found, slowly, with what a cache needs to know; or fails, at once.
    async fn answer(&self, asked: &HeaderMap, found: Option<impl Serialize>) -> Response {
        if self.is_failing.load(Ordering::Relaxed) {
            let body = Json(json!({"error": "the library is closed"}));
            return (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
        }
        sleep(TAKES).await;
        let Some(body) = found.and_then(|found| serde_json::to_string(&found).ok()) else {
            let body = Json(json!({"error": "there is no such book"}));
            return (StatusCode::NOT_FOUND, body).into_response();
        };
        let tag = tag_of(&body);
        let validators = [(ETAG, tag.clone()), (CACHE_CONTROL, FRESH.to_owned())];
        let is_known = |known: &str| known.split(',').any(|one| one.trim() == tag);
        let known = asked.get(IF_NONE_MATCH);
        if known
            .and_then(|known| known.to_str().ok())
            .is_some_and(is_known)
        {
            return (StatusCode::NOT_MODIFIED, validators).into_response();
        }
        (validators, [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// Another one for another text.
fn tag_of(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
