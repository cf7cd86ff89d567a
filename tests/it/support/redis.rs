//! A Valkey or Redis server of the test's own: a child process on a free port, to be paused,
//! killed and started again, alone or as a cluster of three.

use std::process::Stdio;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use turnpike_shared::stores::ValkeyAddress;

use super::until;

/// What a server says once it answers.
const IS_READY: &str = "Ready to accept connections";
/// What a cluster shares out among its nodes.
const SLOTS: u32 = 16_384;

/// One server, on one port for its whole life.
pub(crate) struct RedisServer {
    port: u16,
    kind: Kind,
    folder: TempDir,
    /// Killed, by its id, when this is dropped.
    process: Option<Child>,
}

#[derive(Clone, Copy)]
enum Kind {
    Single,
    Node { bus_port: u16 },
}

/// What a server that starts again finds of its former life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldData {
    /// What it last saved.
    Kept,
    Lost,
}

impl RedisServer {
    /// A server that saves nothing by itself.
    pub(crate) async fn start() -> Self {
        Self::start_as(Kind::Single).await
    }

    async fn start_as(kind: Kind) -> Self {
        // Another process may take a free port first.
        for _ in 0..10 {
            let kind = match kind {
                Kind::Single => kind,
                Kind::Node { .. } => Kind::Node {
                    bus_port: free_port().await,
                },
            };
            let mut server = Self {
                port: free_port().await,
                kind,
                folder: tempfile::tempdir().unwrap(),
                process: None,
            };
            if server.run().await {
                return server;
            }
        }
        panic!("no server starts; try `redis-server --port 6399` by hand");
    }

    pub(crate) fn address(&self) -> ValkeyAddress {
        ValkeyAddress {
            url: format!("redis://127.0.0.1:{}", self.port),
            is_cluster: matches!(self.kind, Kind::Node { .. }),
        }
    }

    /// A connection to look inside with.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.address().url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Saves what it holds to its file.
    pub(crate) async fn save(&self) {
        let mut connection = self.connection().await;
        redis::cmd("SAVE")
            .exec_async(&mut connection)
            .await
            .unwrap();
    }

    /// Lets it hang: connections stay, and nothing is answered.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Ends it at once, without a chance to save.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().await.unwrap();
    }

    /// Starts it anew on its port.
    pub(crate) async fn restart(&mut self, data: OldData) {
        if self.process.is_some() {
            self.kill().await;
        }
        if data == OldData::Lost {
            let _ = std::fs::remove_file(self.folder.path().join("dump.rdb"));
        }
        assert!(self.run().await, "port {} is free again", self.port);
    }

    /// Starts the process, and waits until it answers; `false` if it ended before.
    async fn run(&mut self) -> bool {
        let mut command = Command::new(program());
        command
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1"])
            .args(["--save", ""])
            .args(["--appendonly", "no"])
            .args(["--logfile", ""])
            .arg("--dir")
            .arg(self.folder.path());
        if let Kind::Node { bus_port } = self.kind {
            command
                .args(["--cluster-enabled", "yes"])
                .args(["--cluster-port", &bus_port.to_string()])
                .args(["--cluster-node-timeout", "5000"]);
        }
        let started = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut process = started.unwrap_or_else(|error| {
            panic!(
                "these tests need a Valkey or Redis server ({}: {error}); install one, for example \
                 with `apt-get install redis-server` or `brew install valkey`, or name its program \
                 in TURNPIKE_REDIS_SERVER",
                program()
            )
        });
        let output = process.stdout.take().expect("it is piped");
        let is_ready = read_until_ready(output).await;
        self.process = Some(process);
        is_ready
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().and_then(Child::id).expect("it runs");
        let done = std::process::Command::new("kill")
            .args([signal, &id.to_string()])
            .status();
        assert!(done.unwrap().success());
    }
}

/// Three servers that share the slots.
pub(crate) struct RedisCluster {
    pub(crate) nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub(crate) async fn start() -> Self {
        let mut nodes = vec![];
        for _ in 0..3 {
            nodes.push(RedisServer::start_as(Kind::Node { bus_port: 0 }).await);
        }
        let share = SLOTS.div_ceil(3);
        for (index, node) in (0_u32..).zip(&nodes) {
            let mut connection = node.connection().await;
            let (first, last) = (index * share, ((index + 1) * share).min(SLOTS) - 1);
            let slots = [
                "ADDSLOTSRANGE".to_owned(),
                first.to_string(),
                last.to_string(),
            ];
            let epoch = ["SET-CONFIG-EPOCH".to_owned(), (index + 1).to_string()];
            for arguments in [&slots[..], &epoch[..]] {
                let mut command = redis::cmd("CLUSTER");
                command.arg(arguments);
                command.exec_async(&mut connection).await.unwrap();
            }
        }
        let mut first = nodes[0].connection().await;
        for node in &nodes[1..] {
            let Kind::Node { bus_port } = node.kind else {
                unreachable!("all are nodes");
            };
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1");
            meet.arg(node.port).arg(bus_port);
            meet.exec_async(&mut first).await.unwrap();
        }
        let cluster = Self { nodes };
        cluster.wait_until_it_is_ok().await;
        cluster
    }

    /// One of the nodes; a client learns of the others from it.
    pub(crate) fn address(&self) -> ValkeyAddress {
        self.nodes[0].address()
    }

    async fn wait_until_it_is_ok(&self) {
        for node in &self.nodes {
            let mut connection = node.connection().await;
            until(async || {
                let mut info = redis::cmd("CLUSTER");
                let info: String = info.arg("INFO").query_async(&mut connection).await.unwrap();
                let is_ok = info.contains("cluster_state:ok") && info.contains("cluster_size:3");
                is_ok.then_some(()).ok_or(info)
            })
            .await;
        }
    }
}

/// The server's program: the one that is named, or the first on the path.
fn program() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner's own setting, not the program's"
    )]
    let (named, path) = (
        std::env::var("TURNPIKE_REDIS_SERVER"),
        std::env::var_os("PATH"),
    );
    let on_path = |program: &&&str| {
        std::env::split_paths(path.as_deref().unwrap_or_default())
            .any(|folder| folder.join(program).is_file())
    };
    named.unwrap_or_else(|_| {
        let known = ["redis-server", "valkey-server"];
        let found = known.iter().find(on_path).unwrap_or(&known[0]);
        (*found).to_owned()
    })
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Reads what a server says, and goes on reading so that it never has to wait for a reader.
async fn read_until_ready(output: impl AsyncRead + Send + Unpin + 'static) -> bool {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(IS_READY) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return true;
        }
    }
    false
}
