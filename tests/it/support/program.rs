//! `turnpike-local` as a process of its own.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::root;

/// The program, to be started with nothing of this environment; killed when it is dropped.
pub(crate) fn command(addr: &str, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(target.join("turnpike-local"));
    command
        .args(["--addr", addr])
        .args(arguments)
        .env_clear()
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
