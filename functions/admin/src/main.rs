//! The Lambda binary of `admin`.

use std::process::ExitCode;

use turnpike_admin::{App, router};
use turnpike_shared::runtime::{self, HttpFunction};

fn main() -> ExitCode {
    runtime::serve("admin", async |env| {
        let app = App::from_environment(env).await;
        app.map(|app| HttpFunction::on(&app.foundation().clone(), router(app)))
    })
}
