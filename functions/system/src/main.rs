//! The Lambda function `system`.

use std::process::ExitCode;

use turnpike_system::App;

fn main() -> ExitCode {
    turnpike_shared::runtime::serve("system", async |env| {
        App::from_environment(&env).map(turnpike_system::router)
    })
}
