//! The Lambda binary of `quota-reset`.

use std::process::ExitCode;

use turnpike_quota_reset::App;
use turnpike_shared::runtime;

fn main() -> ExitCode {
    runtime::handle("quota-reset", App::from_environment)
}
