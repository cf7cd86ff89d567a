//! What a request writes to DynamoDB, counted on the way there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::admission::Programs;
use crate::error::BenchError;
use crate::load::{Account, register};
use crate::server::{Cores, Server, command};
use crate::wire::Wire;

const USERS: u32 = 50;
const CONNECTIONS: u32 = 16;
const REQUESTS: u32 = 10_000;
/// Longer than a record waits to be written.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// What a number of requests wrote.
pub(crate) struct Writes {
    pub(crate) limits_on: &'static str,
    pub(crate) requests: u32,
    /// To admit them.
    pub(crate) admission: u32,
    /// To record them.
    pub(crate) records: u32,
}

/// Counts what is asked of an engine. A record is put; what admits is an update.
#[derive(Default)]
struct Counts {
    puts: AtomicU32,
    updates: AtomicU32,
}

pub(crate) async fn measure(
    programs: &Programs,
    engines: &Path,
) -> Result<Vec<Writes>, BenchError> {
    let mut all = vec![];
    for limits_on in ["Valkey", "DynamoDB alone"] {
        let redis = match limits_on {
            "Valkey" => Some(programs.redis().await?),
            _ => None,
        };
        let mut engine = command(engines, Cores::All)
            .arg("serve")
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::Program(engines.to_owned(), error))?;
        let mut addr = String::new();
        if let Some(printed) = engine.stdout.take() {
            BufReader::new(printed).read_line(&mut addr).await?;
        }
        let counts = Arc::new(Counts::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let addr = addr.trim().trim_start_matches("http://").to_owned();
        let proxy = tokio::spawn(hand_on(listener, addr, Arc::clone(&counts)));
        let stack = programs.stack_on(redis.as_ref(), Some(&url)).await?;
        let accounts = register(&stack.origin(), USERS).await?;
        tokio::time::sleep(AFTERWARDS).await;
        let before = counts.read();
        ask(&stack, &accounts).await?;
        tokio::time::sleep(AFTERWARDS).await;
        let after = counts.read();
        proxy.abort();
        all.push(Writes {
            limits_on,
            requests: REQUESTS,
            records: after.0 - before.0,
            admission: after.1 - before.1,
        });
    }
    Ok(all)
}

/// Sends every request, each connection those of its own users.
async fn ask(stack: &Server, accounts: &[Account]) -> Result<(), BenchError> {
    let mut asking = JoinSet::new();
    for number in 0..CONNECTIONS as usize {
        let own = accounts.iter().skip(number).step_by(CONNECTIONS as usize);
        let requests: Vec<Vec<u8>> = own.map(Account::me).collect();
        let mut wire = Wire::connect(&stack.origin()).await?;
        asking.spawn(async move {
            let each = (REQUESTS / CONNECTIONS) as usize;
            for request in requests.iter().cycle().take(each) {
                wire.ask(request).await?;
            }
            Ok::<_, BenchError>(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.map_err(|lost| BenchError::Network(lost.into()))??;
    }
    Ok(())
}

impl Counts {
    fn read(&self) -> (u32, u32) {
        let read = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        (read(&self.puts), read(&self.updates))
    }

    /// Takes a line of a request's head.
    fn take(&self, line: &[u8]) {
        let counter = match line.trim_ascii_end() {
            line if line.ends_with(b".PutItem") => &self.puts,
            line if line.ends_with(b".UpdateItem") => &self.updates,
            _ => return,
        };
        if line.to_ascii_lowercase().starts_with(b"x-amz-target") {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Hands connections on, and counts what goes through them.
async fn hand_on(listener: TcpListener, engine: String, counts: Arc<Counts>) {
    while let Ok((connection, _)) = listener.accept().await {
        let Ok(engine) = TcpStream::connect(&engine).await else {
            return;
        };
        let (from_client, to_client) = connection.into_split();
        let (from_engine, to_engine) = engine.into_split();
        tokio::spawn(copy(from_engine, to_client, None));
        tokio::spawn(copy(from_client, to_engine, Some(Arc::clone(&counts))));
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    counts: Option<Arc<Counts>>,
) -> std::io::Result<()> {
    let (mut read, mut line) = (Vec::with_capacity(16 * 1024), vec![]);
    while from.read_buf(&mut read).await? > 0 {
        to.write_all(&read).await?;
        if let Some(counts) = &counts {
            for byte in read.iter().copied() {
                line.push(byte);
                if byte == b'\n' {
                    counts.take(&line);
                    line.clear();
                }
            }
        }
        read.clear();
    }
    Ok(())
}
