//! One request to an upstream and its whole answer, over HTTP/1.1.
//!
//! The client follows no redirects, knows no proxies, keeps no cookies and decodes nothing. What may
//! be asked, and how often, is decided by whoever calls it.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;

use super::{Failure, MAX_BODY_BYTES};

/// A try has a bound of its own; this one leaves time for another address of the same host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than any common server's, so that a connection is seldom closed just when it is used.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// A function serves one request at a time, the local stack some.
const MAX_IDLE_PER_HOST: usize = 8;
/// All headers of an answer together.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// A client for all upstreams, with their connections.
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// With TLS by rustls on aws-lc, trusting Mozilla's roots.
    pub(super) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let provider = Arc::new(aws_lc_rs::default_provider());
        #[expect(clippy::expect_used, reason = "both are part of the program")]
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .expect("the provider has the usual versions of TLS");
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .http1_max_headers(MAX_HEADERS)
            .build(connector);
        Self(client)
    }

    /// Sends a request and reads the answer to its end, or until it is too large.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Failure> {
        let is_head = request.method() == Method::HEAD;
        let answered = self.0.request(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::Connect(Arc::new(error))
            } else {
                Failure::Broken(Arc::new(error))
            }
        })?;
        if answered.status() == StatusCode::SWITCHING_PROTOCOLS {
            let cause = "it switches protocols though nobody asked it to";
            return Err(Failure::Broken(Arc::from(Box::from(cause))));
        }
        let (mut head, body) = answered.into_parts();
        let body = read(body).await?;
        // The body has a length; what is said of it may be wrong (RFC 9112, section 6.3).
        if !is_head {
            head.headers.remove(CONTENT_LENGTH);
        }
        Ok(Response::from_parts(head, body))
    }
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Failure::TooLarge);
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::TooLarge),
        Err(error) => Err(Failure::Broken(Arc::from(error))),
    }
}
