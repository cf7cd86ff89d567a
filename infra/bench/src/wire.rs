//! HTTP/1.1 as far as a load generator needs it: one connection that is kept, requests that are
//! written beforehand, answers with a `Content-Length`. The generator shares its core with Redis,
//! and what a whole HTTP client costs would be missing there.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::BenchError;

/// A connection to one server.
pub(crate) struct Wire {
    origin: String,
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    /// Connects to `http://host:port`.
    pub(crate) async fn connect(origin: &str) -> Result<Self, BenchError> {
        let addr = origin.strip_prefix("http://").unwrap_or(origin);
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            origin: origin.to_owned(),
            stream,
            received: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and reads its answer to the end, which must have the status 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<(), BenchError> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let whole = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(self.not_as_expected());
            }
            if let Some(whole) = length_of(&self.received) {
                break whole;
            }
        };
        while self.received.len() < whole {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(self.not_as_expected());
            }
        }
        if self.received.starts_with(b"HTTP/1.1 200 ") {
            Ok(())
        } else {
            Err(self.not_as_expected())
        }
    }

    fn not_as_expected(&self) -> BenchError {
        let answer = String::from_utf8_lossy(&self.received).into_owned();
        BenchError::Answer(self.origin.clone(), answer)
    }
}

/// A request without a body.
pub(crate) fn get(path: &str, header: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n").into_bytes()
}

/// A request with a body of JSON.
pub(crate) fn post(path: &str, header: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{header}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// How long an answer is, head and body, once its head is there.
fn length_of(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    Some(end + 4 + length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Some(40)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", Some(40)),
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(27)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", None),
        ];

        for (received, expected) in cases {
            assert_eq!(length_of(received.as_bytes()), expected, "{received:?}");
        }
    }
}
