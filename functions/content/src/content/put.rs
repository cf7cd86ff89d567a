//! `PUT /api/v1/content/{location_id}`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use turnpike_shared::admission::Caller;
use turnpike_shared::content::{Content, LocationId};
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::stores::{ContentPut, ContentWish};
use turnpike_shared::web::{ApiJson, ApiPath};
use utoipa::ToSchema;

use super::{ContentAnswer, ContentBody, precondition_failed};
use crate::App;
use crate::fields::{Errors, text, within};
use crate::preconditions::ReadPreconditions;

const MAX_TYPE_CHARS: usize = 100;
const MAX_SOURCES: usize = 50;
const MAX_SOURCE_CHARS: usize = 200;
const MAX_SCORE: f64 = 100.0;

/// Ten years: what is to stay longer stays.
const MAX_TTL_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContentRequest {
    #[schema(min_length = 1, max_length = 100, example = "article")]
    content_type: String,
    /// Where it comes from: at most 50 names of 1 to 200 characters.
    #[schema(max_items = 50, example = json!(["library"]))]
    source_apis: Vec<String>,
    /// On the product's own scale.
    #[schema(minimum = 0, maximum = 100, example = 0.87)]
    quality_score: f64,
    #[schema(value_type = Object, example = json!({"title": "On whales"}))]
    metadata: Map<String, Value>,
    /// After how long it is gone; left out, it stays.
    #[schema(minimum = 1, maximum = 315_360_000, example = 3600)]
    ttl_seconds: Option<i64>,
}

impl ContentRequest {
    fn parse(self) -> Result<(Content, Option<Duration>), Problem> {
        let mut errors = Errors::default();
        let content_type = errors.one(text("content_type", self.content_type, MAX_TYPE_CHARS));
        let source_apis = errors.all(source_apis(self.source_apis));
        let quality_score = errors.one(quality_score(self.quality_score));
        let ttl = errors.one(self.ttl_seconds.map(ttl).transpose());
        match (content_type, source_apis, quality_score, ttl) {
            (Some(content_type), Some(source_apis), Some(quality_score), Some(ttl)) => {
                let content = Content {
                    content_type,
                    source_apis,
                    quality_score,
                    metadata: self.metadata,
                };
                Ok((content, ttl))
            }
            _ => Err(errors.into_problem()),
        }
    }
}

fn source_apis(names: Vec<String>) -> Result<Vec<String>, Vec<FieldError>> {
    if names.len() > MAX_SOURCES {
        let detail = "There are more than 50 sources.";
        return Err(vec![FieldError::new("source_apis", "too-long", detail)]);
    }
    let mut errors = vec![];
    let mut parsed = vec![];
    for (number, name) in names.into_iter().enumerate() {
        match text(&format!("source_apis[{number}]"), name, MAX_SOURCE_CHARS) {
            Ok(name) => parsed.push(name),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(parsed)
    } else {
        Err(errors)
    }
}

fn quality_score(score: f64) -> Result<f64, FieldError> {
    if (0.0..=MAX_SCORE).contains(&score) {
        // There is one zero.
        Ok(score.abs())
    } else {
        let detail = "The score is 0 to 100.";
        Err(FieldError::new("quality_score", "out-of-range", detail))
    }
}

fn ttl(seconds: i64) -> Result<Duration, FieldError> {
    let detail = "Content is kept for 1 second to 10 years, or for good.";
    within("ttl_seconds", seconds, 1, MAX_TTL_SECONDS, detail).map(Duration::from_secs)
}

/// Put content
///
/// Puts content at a location, in the place of what was there. With `If-Match` only if that is what
/// the client knows; with `If-None-Match: *` only if there is nothing.
#[utoipa::path(
    put, path = "/api/v1/content/{location_id}", operation_id = "putContent", tag = "Content",
    params(
        ("location_id" = String, Path, description = "The location's name: 1 to 256 of A-Z a-z 0-9 - . _ ~ : @", example = "trail:42"),
        ("If-Match" = Option<String>, Header, description = "The entity tags of which one is to be current, or *"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tags of which none is to be current, or *"),
    ),
    request_body = ContentRequest,
    responses(
        (status = 201, description = "There is content now", body = ContentBody,
            headers(("ETag" = String, description = "The entity tag of what is there now; strong"))),
        (status = 200, description = "There is other content now", body = ContentBody,
            headers(("ETag" = String, description = "The entity tag of what is there now; strong"))),
    ),
    extensions(("x-problems" = json!(["not-found", "precondition-failed"]))),
    security(("access_token" = ["content:write"]), ("api_key" = ["content:write"])),
)]
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<LocationId>,
    ReadPreconditions(preconditions): ReadPreconditions,
    ApiJson(request): ApiJson<ContentRequest>,
) -> Result<ContentAnswer, Problem> {
    let (content, ttl) = request.parse()?;
    let preconditions = preconditions?;
    let wish = ContentWish {
        location: &id,
        content: &content,
        ttl,
        put_by: caller.id(),
    };
    let put = app.content();
    let put = put.put(&wish, app.now(), |there| preconditions.admit(there));
    let (status, location) = match put.await? {
        ContentPut::Created(location) => (StatusCode::CREATED, location),
        ContentPut::Replaced(location) => (StatusCode::OK, location),
        ContentPut::Refused => return Err(precondition_failed()),
    };
    Ok(ContentAnswer::new(status, &location, content))
}
