//! What only the local stack has: `/_local/*`, with the mailbox and the sample upstream, and Lambda's invoke path. It answers on a loopback
//! address alone, to requests that name it and do not come from another site's page.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::Cors;
use turnpike_shared::errors::Problem;
use turnpike_shared::mail::Mail;
use turnpike_shared::web::{ApiQuery, FunctionContext, single_header, with_conventions};

use crate::events::{EventFunctions, invoke_route};
use crate::mailbox::Mailbox;
use crate::sample;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailQuery {
    to: Option<String>,
}

#[derive(Serialize)]
struct MailsBody {
    items: Vec<Mail>,
}

/// Whether a path is one of these.
pub(crate) fn has(path: &str) -> bool {
    path.starts_with("/_local/") || path.starts_with("/2015-03-31/")
}

pub(crate) fn router(
    mailbox: Mailbox,
    functions: Arc<EventFunctions>,
    addr: SocketAddr,
    base: &str,
    clock: Clock,
) -> Router {
    let routes = Router::new()
        .route("/_local/mail", get(list_mails))
        .with_state(mailbox)
        .merge(invoke_route(functions))
        .merge(sample::router())
        .layer(from_fn_with_state(addr, only_from_here));
    with_conventions(
        routes,
        FunctionContext::new("local", base, clock),
        &Cors::default(),
    )
}

async fn list_mails(
    State(mailbox): State<Mailbox>,
    ApiQuery(query): ApiQuery<MailQuery>,
) -> Result<Json<MailsBody>, Problem> {
    let items = mailbox
        .mails(query.to.as_deref())
        .await
        .map_err(Problem::internal)?;
    Ok(Json(MailsBody { items }))
}

/// A name that somebody else's DNS points here, or a page of another origin, could read the mails
/// and invoke functions with a visitor's browser otherwise.
async fn only_from_here(State(addr): State<SocketAddr>, request: Request, next: Next) -> Response {
    let mut names = vec![addr.to_string(), format!("localhost:{}", addr.port())];
    if addr.port() == 80 {
        // Which clients leave out.
        names.extend([addr.ip().to_string(), "localhost".to_owned()]);
    }
    let headers = request.headers();
    let is_for_us =
        single_header(headers, &HOST).is_some_and(|host| names.iter().any(|n| n == host));
    let is_own_page = match headers.get(ORIGIN) {
        None => true,
        Some(_) => single_header(headers, &ORIGIN)
            .is_some_and(|origin| names.iter().any(|name| origin == format!("http://{name}"))),
    };
    if is_for_us && is_own_page {
        next.run(request).await
    } else {
        Problem::not_found().into_response()
    }
}
