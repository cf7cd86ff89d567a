//! The Lambda binary of `admin`.

use std::process::ExitCode;

use turnpike_admin::{App, router};
use turnpike_shared::runtime;

fn main() -> ExitCode {
    runtime::serve("admin", async |env| {
        App::from_environment(env).await.map(router)
    })
}
