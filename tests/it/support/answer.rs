//! Requests and answers.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A request in the making.
pub(crate) struct Call(RequestBuilder);

impl Call {
    pub(crate) fn new(request: RequestBuilder) -> Self {
        Self(request)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("x-api-key", key)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    /// A body as it is, declared as JSON.
    pub(crate) fn raw_json(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("content-type", "application/json").body(body))
    }

    pub(crate) fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.expect("the stack answers")
    }

    /// The answer, if one came and was whole.
    pub(crate) async fn try_send(self) -> Option<Answer> {
        let response = self.0.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Some(Answer {
            status,
            headers,
            text,
            body,
        })
    }
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    /// Asserts that this is a well-formed problem with this status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        let kind = self.body["type"].as_str().expect("a type");
        assert!(kind.ends_with(&format!("/docs/errors/{code}")), "{kind}");
        assert!(self.body["title"].is_string() && self.body["detail"].is_string());
    }

    /// Asserts that this is a 422 that names exactly these fields with these codes.
    #[track_caller]
    pub(crate) fn assert_invalid(&self, fields: &[(&str, &str)]) {
        self.assert_problem(422, "validation-failed");
        let errors = self.body["errors"].as_array().expect("a list of errors");
        let named: Vec<(&str, &str)> = errors
            .iter()
            .map(|e| {
                (
                    e["field"].as_str().unwrap_or("?"),
                    e["code"].as_str().unwrap_or("?"),
                )
            })
            .collect();
        assert_eq!(named, fields, "{}", self.text);
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}
