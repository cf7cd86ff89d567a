//! The way from the SDK's client to the embedded engine, within the process.
//!
//! The engine listens nowhere: a port on this machine would be open to every page in the
//! developer's browser, past the guard of `/_local/*`.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the requests of DynamoDB's JSON protocol name their operation with.
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// An HTTP client whose only server is `database`.
pub(crate) fn http_client(database: Database) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(EngineConnector(database));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Clone)]
struct EngineConnector(Database);

impl std::fmt::Debug for EngineConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineConnector")
    }
}

impl HttpConnector for EngineConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let database = self.0.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target
                .strip_prefix(TARGET_PREFIX)
                .unwrap_or_default()
                .to_owned();
            let body = request.body().bytes().unwrap_or_default().to_vec();
            // The engine works on the thread that asks it.
            let work = move || dispatch(&database, &operation, &body);
            let answered = tokio::task::spawn_blocking(work).await;
            answered
                .map_err(|lost| ConnectorError::other(lost.into(), None))
                .and_then(response)
        })
    }
}

fn response(answer: Result<String, DynoxideError>) -> Result<HttpResponse, ConnectorError> {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(error) => (error.status_code(), error.to_json()),
    };
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// The operations that the stores and the making of tables use.
fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        other => Err(DynoxideError::ValidationException(format!(
            "the local stack does not hand on {other:?}"
        ))),
    }
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    let response = operation(request)?;
    serde_json::to_string(&response)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
