//! An upstream of the test's own: a real server that answers as it is told, well or badly, and keeps
//! what it was asked.
//!
//! It speaks HTTP/1.1 by itself, because no server would say what some tests need to be said.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// More than any test sends; a request that is larger is not understood.
const MAX_HEAD: usize = 256 * 1024;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// The path and the query string, as they were sent.
    pub(crate) target: String,
    /// In their order, with the names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The value of a header; several are joined as HTTP joins them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.iter().filter(|(known, _)| known == name);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What becomes of a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A well-formed answer, after which the connection goes on.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// These bytes and the end of the connection, whether or not they are HTTP.
    Raw(Vec<u8>),
    /// These bytes, and then nothing more, while the connection stays open.
    RawThenSilence(Vec<u8>),
    /// These bytes, one at a time with this pause before each.
    Drip(Vec<u8>, Duration),
    /// These bytes, and then the connection is reset.
    RawThenReset(Vec<u8>),
    /// The reply that follows, once the test lets it go: one permit lets one go.
    Held(Arc<Semaphore>, Box<Reply>),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: vec![],
            body: vec![],
        }
    }

    pub(crate) fn text(body: &str) -> Self {
        Self::bytes("text/plain", body)
    }

    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::bytes("application/json", body.to_string())
    }

    pub(crate) fn bytes(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer {
            status: 200,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
        }
    }

    /// It is never answered, and the connection stays open.
    pub(crate) fn silence() -> Self {
        Self::RawThenSilence(vec![])
    }

    /// The connection is reset before anything was said.
    pub(crate) fn reset() -> Self {
        Self::RawThenReset(vec![])
    }

    /// The same with another status; of an answer only.
    pub(crate) fn with_status(mut self, new: u16) -> Self {
        if let Self::Answer { status, .. } = &mut self {
            *status = new;
        }
        self
    }

    /// The same with one header more; of an answer only.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

type Behaviour = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// A running upstream; it ends with its test.
pub(crate) struct TestUpstream {
    /// Where it listens, without a slash at the end.
    pub(crate) base: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
}

impl TestUpstream {
    /// An upstream that answers every request alike.
    pub(crate) async fn answering(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// An upstream that answers as `behaviour` says.
    pub(crate) async fn start(
        behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Arc::new(behaviour)),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            base,
            shared,
            server,
        }
    }

    /// An address at which nobody listens.
    pub(crate) async fn nobody() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// From now on it answers so.
    pub(crate) fn behave(&self, behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.shared.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    /// From now on it answers every request alike.
    pub(crate) fn answer(&self, reply: Reply) {
        self.behave(move |_| reply.clone());
    }

    /// Everything that it was asked so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// How often it was asked so far.
    pub(crate) fn calls(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// How many connections were made to it so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// A policy with room for everything and this upstream under `name`, with more `fields` in TOML.
    pub(crate) fn policy(&self, name: &str, fields: &str) -> String {
        policy_with(name, &self.base, fields)
    }
}

impl Drop for TestUpstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A policy with room for everything and an upstream at `base_url`, with more `fields` in TOML.
pub(crate) fn policy_with(name: &str, base_url: &str, fields: &str) -> String {
    let generous = include_str!("generous.toml");
    format!("{generous}\n[upstreams.{name}]\nbase_url = \"{base_url}\"\n{fields}\n")
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(converse(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the requests of one connection. Whoever hangs up ends it.
async fn converse(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = vec![];
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        shared.received.lock().unwrap().push(request.clone());
        let behaviour = Arc::clone(&shared.behaviour.lock().unwrap());
        let mut reply = behaviour(&request);
        while let Reply::Held(gate, then) = reply {
            gate.acquire_owned().await.unwrap().forget();
            reply = *then;
        }
        if !send(&mut stream, &request, reply).await {
            return;
        }
    }
}

/// Sends a reply, and says whether the connection goes on.
async fn send(stream: &mut TcpStream, request: &Received, reply: Reply) -> bool {
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let bytes = well_formed(request, status, &headers, &body);
            stream.write_all(&bytes).await.is_ok()
        }
        Reply::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            false
        }
        Reply::RawThenSilence(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let mut rest = vec![];
            // Until the client hangs up.
            let _ = stream.read_to_end(&mut rest).await;
            false
        }
        Reply::Drip(bytes, pause) => {
            for byte in bytes {
                tokio::time::sleep(pause).await;
                if stream.write_all(&[byte]).await.is_err() {
                    break;
                }
            }
            false
        }
        Reply::RawThenReset(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.set_zero_linger();
            false
        }
        Reply::Held(..) => unreachable!("it was waited for"),
    }
}

fn well_formed(
    request: &Received,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if status != 304 && status != 204 {
        head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    if request.method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    bytes
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let head_end = loop {
        match buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => break at,
            None if buffer.len() > MAX_HEAD => return None,
            None => read_more(stream, buffer).await?,
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < length {
        read_more(stream, buffer).await?;
    }
    Some(Received {
        method,
        target,
        headers,
        body: buffer.drain(..length).collect(),
    })
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
