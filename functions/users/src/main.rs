//! The Lambda binary of `users`.

use std::process::ExitCode;

use turnpike_shared::runtime;
use turnpike_users::{App, router};

fn main() -> ExitCode {
    runtime::serve("users", async |env| {
        App::from_environment(env).await.map(router)
    })
}
