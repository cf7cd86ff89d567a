//! The Lambda binary of `auth`.

use std::process::ExitCode;

use turnpike_auth::{App, router};
use turnpike_shared::runtime;

fn main() -> ExitCode {
    runtime::serve("auth", async |env| {
        App::from_environment(env).await.map(router)
    })
}
