//! `Idempotency-Key` in front of the routes that take one: the first try of a request runs, and
//! every later one is answered as the first was.
//!
//! The layer stands within admission, so that a repetition is let in, refused and counted as any
//! request is. What it does is nobody's but the handler's: the handler gives its answer to the
//! store together with what it writes, through the [`AnswerKeeper`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::admission::{ip_of, route_taken};
use super::body::{self, ReadBody};
use super::single_header;
use crate::admission::{Caller, Credential};
use crate::auth::{EmailAddress, StageSecret};
use crate::clock::Timestamp;
use crate::errors::{FieldError, Problem, ProblemCode};
use crate::idempotency::{
    Attempt, FirstAnswer, IdempotencyKey, IdempotencySecrets, KeptAnswer, KeyUser, Repeated,
    Request as KeyedRequest, Secret,
};
use crate::limits::routes::Access;
use crate::stores::UserStore;

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long a refusal waits for its key to be free again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of a function that has routes which take a key.
pub trait KeepsAnswers: Clone + Send + Sync + 'static {
    fn answers(&self) -> &Answers;

    fn now(&self) -> Timestamp;

    /// Whether what an answer showed still stands, so that it may be shown again to who repeats the
    /// request. Whoever is to know a password has to know it still.
    fn still_stands(
        &self,
        secret: &Secret,
        repetition: &Repetition<'_>,
    ) -> impl Future<Output = Result<bool, Problem>> + Send;
}

/// Where a function keeps its answers, and what it seals them with.
#[derive(Clone)]
pub struct Answers {
    secrets: Arc<IdempotencySecrets>,
    store: UserStore,
}

impl Answers {
    pub fn new(secret: &StageSecret, store: UserStore) -> Self {
        Self {
            secrets: Arc::new(IdempotencySecrets::new(secret)),
            store,
        }
    }
}

/// A request that was answered before.
pub struct Repetition<'a> {
    pub ip: IpAddr,
    body: &'a Value,
}

impl Repetition<'_> {
    /// Its body, as the handler reads it.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        body::typed(self.body.clone())
    }
}

/// A successful answer in JSON: written once, so that what is kept is what is sent.
pub struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// # Panics
    ///
    /// When `body` is something that JSON has no form for, which no answer is.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "answers are structs of texts and numbers"
        )]
        let body = serde_json::to_vec(body).expect("an answer has a form in JSON");
        Self {
            status,
            body: body.into(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        (self.status, [(CONTENT_TYPE, json)], self.body).into_response()
    }
}

/// Keeps the answer of a request that carries a key; that of any other it does not.
#[derive(Clone)]
pub struct AnswerKeeper(Option<(Attempt, Answers)>);

impl AnswerKeeper {
    /// What is to be written in the transaction of what the request does, or nothing. `secret` is
    /// what the answer shows that must still stand for it to be shown again.
    pub fn keep(&self, answer: &Answer, secret: Option<Secret>) -> Option<KeptAnswer> {
        let (attempt, answers) = self.0.as_ref()?;
        let first = FirstAnswer {
            status: answer.status.as_u16(),
            body: answer.body.to_vec(),
            secret,
        };
        Some(KeptAnswer {
            record: attempt.record.clone(),
            attempt: attempt.id.clone(),
            sealed: answers.secrets.seal(&attempt.record, &first),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for AnswerKeeper {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.remove().unwrap_or(Self(None)))
    }
}

/// Stands between admission and the handlers.
pub async fn keep_answers<A: KeepsAnswers>(
    State(app): State<A>,
    request: Request,
    next: Next,
) -> Response {
    let taken = route_taken(&request).filter(|route| route.takes_idempotency_key);
    let keyed = taken.filter(|_| request.headers().contains_key(KEY));
    let Some(route) = keyed else {
        return next.run(request).await;
    };
    let outcome = once(&app, route.access, request, next).await;
    outcome.unwrap_or_else(IntoResponse::into_response)
}

async fn once<A: KeepsAnswers>(
    app: &A,
    access: Access,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let read = body::read(&parts.headers, body, body::MAX_BYTES).await;
    let keyed = read.and_then(|body| Ok((key(&parts.headers)?, body)));
    let begun = match &keyed {
        Ok((key, body)) => begin(app, access, &parts, key, body).await?,
        // The extractor refuses it, behind what comes before a body in the order of refusals.
        Err(_) => Begun::Nothing,
    };
    let body = keyed.map(|(_, body)| body);
    match begun {
        Begun::Answered(attempt, sealed) => {
            let repetition = Repetition {
                ip: ip_of(&parts.extensions),
                body: &body?,
            };
            answer_again(app, &attempt, &sealed, &repetition).await
        }
        Begun::Running(running) => {
            parts.extensions.insert(running.keeper());
            parts.extensions.insert(ReadBody(body));
            let response = next.run(Request::from_parts(parts, Body::empty())).await;
            running.ended(response.status()).await;
            Ok(response)
        }
        Begun::Nothing => {
            parts.extensions.insert(ReadBody(body));
            Ok(next.run(Request::from_parts(parts, Body::empty())).await)
        }
    }
}

fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let key = single_header(headers, &KEY).and_then(|value| value.parse().ok());
    key.ok_or_else(|| {
        let detail = "A key is one string of 1 to 255 visible ASCII characters.";
        Problem::validation(vec![FieldError::new("Idempotency-Key", "invalid", detail)])
    })
}

/// What a request with a key came to before it reached its handler.
enum Begun {
    /// It cannot be done, and the handler says why.
    Nothing,
    Running(Running),
    Answered(Attempt, Vec<u8>),
}

async fn begin<A: KeepsAnswers>(
    app: &A,
    access: Access,
    parts: &Parts,
    key: &IdempotencyKey,
    body: &Value,
) -> Result<Begun, Problem> {
    let Some((user, content)) = told_apart_by(access, parts, body) else {
        return Ok(Begun::Nothing);
    };
    let answers = app.answers();
    let record = answers.secrets.record_of(&KeyedRequest {
        user: &user,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        key,
    });
    let fingerprint = answers.secrets.fingerprint_of(&record, &content);
    let now = app.now();
    let attempt = Attempt::begin(record, fingerprint, now);
    // Ahead of the call, which may have done its work although nobody waits for its answer.
    let running = Running::new(attempt.clone(), answers.clone());
    let Some(repeated) = answers.store.begin_attempt(&attempt, now).await? else {
        return Ok(Begun::Running(running));
    };
    running.yields();
    match repeated {
        Repeated::Answered(sealed) => Ok(Begun::Answered(attempt, sealed)),
        Repeated::InProgress => Err(Problem::in_progress()),
        Repeated::WithAnotherContent => Err(reused()),
    }
}

/// Whose key it is, and what makes the content of two requests the same. `None` when the body does
/// not say.
fn told_apart_by(access: Access, parts: &Parts, body: &Value) -> Option<(KeyUser, Value)> {
    if access != Access::Open {
        let caller = parts.extensions.get::<Caller>()?;
        let user = match &caller.credential {
            Credential::Session(_) => KeyUser::Sessions(caller.id()),
            Credential::Key(key) => KeyUser::ApiKey(caller.id(), key.id),
        };
        return Some((user, body.clone()));
    }
    let email: EmailAddress = body.get("email")?.as_str()?.parse().ok()?;
    let mut content = body.clone();
    // Not even a digest of a password is kept here; it is looked at again instead.
    content.as_object_mut()?.shift_remove("password");
    Some((KeyUser::Email(email.key()), content))
}

/// Shows an answer once more, if what it shows still stands.
async fn answer_again<A: KeepsAnswers>(
    app: &A,
    attempt: &Attempt,
    sealed: &[u8],
    repetition: &Repetition<'_>,
) -> Result<Response, Problem> {
    let first = app.answers().secrets.open(&attempt.record, sealed);
    let first = first.map_err(|error| gone().caused_by(error))?;
    if let Some(secret) = &first.secret
        && !app.still_stands(secret, repetition).await?
    {
        return Err(gone());
    }
    let status = StatusCode::from_u16(first.status).map_err(Problem::internal)?;
    let body = first.body.into();
    let mut response = Answer { status, body }.into_response();
    let yes = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, yes);
    Ok(response)
}

fn reused() -> Problem {
    let detail = "The key came with another body before.";
    let error = FieldError::new("Idempotency-Key", "invalid", detail);
    Problem::new(ProblemCode::IdempotencyKeyReused, detail).with_errors(vec![error])
}

fn gone() -> Problem {
    Problem::new(
        ProblemCode::IdempotencyAnswerGone,
        "The request was done; what its answer showed is void by now.",
    )
}

/// A try that runs. However it ends without an answer, its key is free again: also when nobody waits
/// for it any more and it is dropped midway. What it still has on its way to the database then fails,
/// or was quicker and is answered.
struct Running(Option<(Attempt, Answers)>);

impl Running {
    fn new(attempt: Attempt, answers: Answers) -> Self {
        Self(Some((attempt, answers)))
    }

    fn keeper(&self) -> AnswerKeeper {
        AnswerKeeper(self.0.clone())
    }

    /// The record is an earlier try's.
    fn yields(mut self) {
        self.0 = None;
    }

    async fn ended(mut self, answered: StatusCode) {
        if !answered.is_success()
            && let Some((attempt, answers)) = &self.0
        {
            let dropped = drop_attempt(attempt, answers);
            // If the database is away, the client is still to be told in time; the lease does it.
            let _ = tokio::time::timeout(PATIENCE, dropped).await;
        }
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((attempt, answers)) = self.0.take() {
            tokio::spawn(async move { drop_attempt(&attempt, &answers).await });
        }
    }
}

async fn drop_attempt(attempt: &Attempt, answers: &Answers) {
    if let Err(error) = answers.store.drop_attempt(attempt).await {
        tracing::warn!(cause = %error, "an Idempotency-Key stays taken until its lease is over");
    }
}
