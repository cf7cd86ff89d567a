//! `/api/v1/proxy/{upstream}/{path}`: an upstream as it is, behind credentials, limits and the cache.
//!
//! Nothing here is kept in the history, which is of queries.

mod answer;
mod cached;
mod exchange;
mod routes;

use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::Method;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::queries::Price;
use turnpike_shared::web::{Deadline, LargeBytes, Visitor};

pub(crate) use cached::Sources;
pub(crate) use routes::described_routes;

use self::answer::Answer;
use self::cached::{Question, invalidate};
use self::exchange::{Address, Asker, Exchange};
use crate::App;
use crate::http_cache::{CacheStatus, Forwarded, Why};

/// Lets the request in at its upstream's price, and gives back what an answer costs less for which
/// nobody asked the upstream.
pub(crate) async fn proxy(
    State(app): State<App>,
    visitor: Visitor,
    deadline: Deadline,
    request: Request,
) -> Result<Response, Problem> {
    let policy = app.admission().policy().await;
    let price = Price::of(&policy, Address::of(request.uri()).upstream);
    let (caller, charge) = visitor.admit(&price.class, price.cost).await?;
    let asker = Asker {
        user: caller.id(),
        tier: caller.principal.tier,
        deadline: deadline.instant(),
    };
    let method = request.method().clone();
    let (response, is_asked) = match Exchange::allowed(&policy, &request, &asker) {
        Err(refusal) => (refusal.into_response(), false),
        Ok(exchange) => match served(&app, exchange, request).await {
            Ok(answer) => {
                let is_asked = !answer.is_from_cache();
                (answer.into_response(&method), is_asked)
            }
            Err(problem) => {
                let is_asked = !is_told_without_asking(&problem);
                (problem.into_response(), is_asked)
            }
        },
    };
    if !is_asked {
        let refund = price.refund_of_hit();
        app.admission().give_back_part(charge, refund).await;
    }
    Ok(response)
}

async fn served(app: &App, exchange: Exchange, request: Request) -> Result<Answer, Problem> {
    let LargeBytes(body) = LargeBytes::from_request(request, &()).await?;
    answered(app.sources(), exchange.with_body(body)).await
}

/// Whether a request failed before the upstream was asked.
fn is_told_without_asking(problem: &Problem) -> bool {
    [
        ProblemCode::PayloadTooLarge,
        ProblemCode::NotCached,
        ProblemCode::CircuitOpen,
    ]
    .contains(&problem.code)
}

async fn answered(sources: &Sources, exchange: Exchange) -> Result<Answer, Problem> {
    if exchange.is_cacheable() {
        let question = Question::new(sources.clone(), exchange);
        return Box::pin(question.answered()).await;
    }
    let answer = exchange.pass(&sources.upstreams).await?;
    let is_changed = !exchange.method.is_safe()
        && (answer.status.is_success() || answer.status.is_redirection());
    if is_changed {
        invalidate(&sources.cache, &exchange).await;
    }
    let why = match exchange.method {
        Method::GET | Method::HEAD => Why::Bypass,
        _ => Why::Method,
    };
    let status = CacheStatus::Forwarded(Forwarded::not_kept(why, answer.status));
    Ok(Answer::passed(answer, status))
}
