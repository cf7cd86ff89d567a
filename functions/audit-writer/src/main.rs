//! The Lambda binary of `audit-writer`.

use std::process::ExitCode;

use turnpike_audit_writer::App;
use turnpike_shared::runtime;

fn main() -> ExitCode {
    runtime::handle("audit-writer", App::from_environment)
}
