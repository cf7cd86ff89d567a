//! The program itself: what it prints, what it keeps, how it ends.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::{PASSWORD, command};

/// `turnpike-local`, running, with what it has printed so far.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    printed: Vec<String>,
    base: String,
}

impl Program {
    async fn start(arguments: &[&str], admin_password: Option<&str>) -> Self {
        let mut command = command("127.0.0.1:0", arguments);
        if let Some(password) = admin_password {
            command.env("TURNPIKE_ADMIN_PASSWORD", password);
        }
        Self::started(command).await
    }

    async fn started(mut command: Command) -> Self {
        let mut child = command
            .spawn()
            .expect("turnpike-local is built: make test-it builds it");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self {
            child,
            lines,
            printed: vec![],
            base: String::new(),
        };
        while let Some(line) = program.lines.next_line().await.unwrap() {
            let is_last = line.starts_with("Ctrl-C");
            program.printed.push(line);
            if is_last {
                break;
            }
        }
        let first = program.printed.first().expect("it greets").clone();
        let base = first
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        base.expect("it says where it is")
            .clone_into(&mut program.base);
        program
    }

    /// Ends it and returns what it printed after its greeting.
    async fn end(&mut self) -> String {
        self.signal("-TERM");
        let mut rest = String::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    }

    fn printed_after(&self, label: &str) -> &str {
        let line = self
            .printed
            .iter()
            .find(|line| line.trim().starts_with(label))
            .unwrap();
        line.trim().strip_prefix(label).unwrap().trim()
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.base))
            .json(body);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or(Value::Null),
        )
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let done = std::process::Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap();
        assert!(done.success());
    }
}

#[tokio::test]
async fn the_printed_curl_line_signs_the_admin_in_as_it_is_pasted() {
    let passwords = [None, Some("it's a \"quoted\" violin & harbour")];
    for admin_password in passwords {
        let program = Program::start(&[], admin_password).await;
        let curl = program
            .printed
            .iter()
            .find(|line| line.trim().starts_with("curl"))
            .unwrap();

        let output = Command::new("sh")
            .arg("-c")
            .arg(curl)
            .output()
            .await
            .unwrap();

        let answer: Value = serde_json::from_slice(&output.stdout).expect("curl prints the answer");
        let user = &answer["user"];
        assert_eq!(user["email"], program.printed_after("admin"));
        assert_eq!(
            (&user["tier"], &user["is_verified"]),
            (&json!("enterprise"), &json!(true))
        );
        assert_eq!(user["roles"], json!(["user", "admin"]));
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut program = Program::start(&["--data", data], None).await;
    let mut accounts = vec![];
    for n in 0..5 {
        let body = json!({"email": format!("ada{n}@example.com"), "password": PASSWORD});
        let (status, answer) = program.post("/api/v1/auth/register", &body).await;
        assert_eq!(status, 201);
        accounts.push((body, answer));
    }

    let mails = async |base: &str| {
        let answer = reqwest::get(format!("{base}/_local/mail")).await.unwrap();
        let body: Value = answer.json().await.unwrap();
        body["items"].as_array().unwrap().len()
    };
    assert_eq!(mails(&program.base).await, 5);

    program.signal("-KILL");
    program.child.wait().await.unwrap();
    let again = Program::start(&["--data", data], None).await;

    for (credentials, answer) in accounts {
        assert_eq!(again.post("/api/v1/auth/login", &credentials).await.0, 200);
        let refresh = json!({"refresh_token": answer["tokens"]["refresh_token"]});
        assert_eq!(
            again.post("/api/v1/auth/refresh", &refresh).await.0,
            200,
            "the keys are kept too"
        );
    }
    assert_eq!(mails(&again.base).await, 5);
    assert_eq!(
        again.printed_after("password"),
        "as it was set when the account was made"
    );
}

#[tokio::test]
async fn an_interrupt_ends_it_cleanly() {
    for signal in ["-INT", "-TERM"] {
        let mut program = Program::start(&[], None).await;

        program.signal(signal);

        let status = program.child.wait().await.unwrap();
        assert!(status.success(), "{signal}: {status}");
    }
}

#[tokio::test]
async fn a_start_that_cannot_be_is_explained_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let _first = Program::start(&["--data", data], None).await;
    let free = "127.0.0.1:0";
    let weak = ("TURNPIKE_ADMIN_PASSWORD", "password123");
    let arguments = [
        (taken.as_str(), vec![], "cannot listen on"),
        (free, vec!["--data", "/proc/nowhere"], "/proc/nowhere"),
        (free, vec!["--data", data], "is in use by another process"),
        (free, vec!["--dynamodb", "http://127.0.0.1:1"], "refused"),
        (
            free,
            vec!["--dynamodb", "redis://x"],
            "embedded, aws or an http address",
        ),
    ];
    let variables = [
        (weak, "TURNPIKE_ADMIN_PASSWORD is too easy"),
        (("TURNPIKE_ADMIN_EMAIL", "admin"), "TURNPIKE_ADMIN_EMAIL"),
        (("TURNPIKE_ENVIRONMENT", "production"), "TURNPIKE_ISSUER"),
        (("TURNPIKE_CORS_ORIGINS", "*"), "TURNPIKE_CORS_ORIGINS"),
    ];

    let mut starts = vec![];
    for (addr, arguments, expected) in arguments {
        starts.push((command(addr, &arguments), expected));
    }
    for (variable, expected) in variables {
        let mut command = command(free, &[]);
        command.envs([variable]);
        starts.push((command, expected));
    }
    for (mut command, expected) in starts {
        let output = command.output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{expected}");
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_no_secret_in_any() {
    let mut command = command("127.0.0.1:0", &[]);
    command.env(
        "TURNPIKE_LOG",
        "turnpike=trace,turnpike_shared=trace,turnpike_auth=trace,info",
    );
    let mut program = Program::started(command).await;
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let (_, registered) = program.post("/api/v1/auth/register", &credentials).await;
    let tokens = &registered["tokens"];
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    let (_, refreshed) = program.post("/api/v1/auth/refresh", &refresh).await;
    program
        .post(
            "/api/v1/auth/refresh",
            &json!({"refresh_token": "tpr_junk-that-was-sent"}),
        )
        .await;
    program
        .post(
            "/api/v1/auth/login",
            &json!({"email": "ada@example.com", "password": "wrong-secret-word"}),
        )
        .await;
    let me = reqwest::Client::new().get(format!("{}/api/v1/auth/me", program.base));
    me.bearer_auth(tokens["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();

    let log = program.end().await;

    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let requests: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(requests.len(), 5, "{log}");
    for line in &requests {
        for field in [
            "timestamp",
            "level",
            "request_id",
            "function",
            "route",
            "method",
            "status",
            "duration_ms",
            "cold_start",
        ] {
            assert!(!line[field].is_null(), "{field}: {line}");
        }
        assert!(line["_aws"]["CloudWatchMetrics"].is_array());
    }
    assert_eq!(requests[0]["cold_start"], true);
    assert_eq!(requests[1]["cold_start"], false);
    assert_eq!(requests[4]["user_id"], registered["user"]["id"]);
    assert_eq!(requests[4]["route"], "/api/v1/auth/me");
    let secrets = [
        PASSWORD,
        "wrong-secret-word",
        "tpr_",
        "eyJ",
        "argon2",
        "ada@example.com",
        tokens["access_token"].as_str().unwrap(),
        refreshed["tokens"]["refresh_token"].as_str().unwrap(),
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "the log holds {secret:?}");
    }
}
