//! The Lambda binary of `usage-rollup`.

use std::process::ExitCode;

use turnpike_shared::runtime;
use turnpike_usage_rollup::App;

fn main() -> ExitCode {
    runtime::handle("usage-rollup", async |env| App::from_environment(&env))
}
