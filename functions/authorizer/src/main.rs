//! The Lambda binary of `authorizer`.

use std::process::ExitCode;

use turnpike_authorizer::App;
use turnpike_shared::runtime;

fn main() -> ExitCode {
    runtime::handle("authorizer", async |env| App::from_environment(env).await)
}
