//! The Lambda binary of `auth`.

use std::process::ExitCode;

use turnpike_auth::{App, router};
use turnpike_shared::runtime::{self, HttpFunction};

fn main() -> ExitCode {
    runtime::serve("auth", async |env| {
        let app = App::from_environment(env).await;
        app.map(|app| {
            let failed_sign_ins = app.failed_sign_ins();
            HttpFunction::recorded_by(app.recorder(), router(app)).telling_of(failed_sign_ins)
        })
    })
}
