//! The Lambda binary of `users`.

use std::process::ExitCode;

use turnpike_shared::runtime::{self, HttpFunction};
use turnpike_users::{App, router};

fn main() -> ExitCode {
    runtime::serve("users", async |env| {
        let app = App::from_environment(env).await;
        app.map(|app| HttpFunction::on(&app.foundation().clone(), router(app)))
    })
}
