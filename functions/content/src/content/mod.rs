//! `/api/v1/content/{location_id}`: content at a location, and how it is shown.

pub(crate) mod delete;
pub(crate) mod put;
pub(crate) mod show;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::content::{Content, Location};
use turnpike_shared::errors::{Problem, ProblemCode};
use utoipa::ToSchema;

use crate::preconditions::etag;

/// What is at a location.
#[derive(Serialize, ToSchema)]
#[schema(as = Content)]
pub(crate) struct ContentObject {
    #[schema(example = "trail:42")]
    location_id: String,
    #[schema(example = "article")]
    content_type: String,
    #[schema(example = json!(["library"]))]
    source_apis: Vec<String>,
    #[schema(example = 0.87)]
    quality_score: f64,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// The SHA-256, in hex, of the four members above as JSON without spaces, the members of every
    /// object in the order of their names.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    content_hash: String,
    /// Null if the content stays.
    #[schema(required, minimum = 1, example = 3600)]
    ttl_seconds: Option<u64>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ContentAnswer)]
pub(crate) struct ContentBody {
    content: ContentObject,
}

/// Content with its entity tag. It is no personal data, so clients may keep it, and ask whether it is
/// still current.
pub(crate) struct ContentAnswer {
    status: StatusCode,
    etag: HeaderValue,
    body: Option<ContentBody>,
}

impl ContentAnswer {
    fn new(status: StatusCode, location: &Location, content: Content) -> Self {
        Self {
            status,
            etag: etag(&location.version()),
            body: Some(ContentBody {
                content: ContentObject {
                    location_id: location.id.to_string(),
                    content_type: content.content_type,
                    source_apis: content.source_apis,
                    quality_score: content.quality_score,
                    metadata: content.metadata,
                    content_hash: location.content_hash.to_string(),
                    ttl_seconds: location.ttl.map(|ttl| ttl.as_secs()),
                    expires_at: location.expires_at(),
                    created_at: location.created_at,
                    updated_at: location.updated_at,
                },
            }),
        }
    }

    /// The client has it as it is.
    fn not_modified(location: &Location) -> Self {
        Self {
            status: StatusCode::NOT_MODIFIED,
            etag: etag(&location.version()),
            body: None,
        }
    }
}

impl IntoResponse for ContentAnswer {
    fn into_response(self) -> Response {
        let is_asked_about = HeaderValue::from_static("private, no-cache");
        let headers = [(ETAG, self.etag), (CACHE_CONTROL, is_asked_about)];
        match self.body {
            Some(body) => (self.status, headers, Json(body)).into_response(),
            None => (self.status, headers).into_response(),
        }
    }
}

fn precondition_failed() -> Problem {
    Problem::new(
        ProblemCode::PreconditionFailed,
        "What is at the location is not what If-Match or If-None-Match says.",
    )
}
