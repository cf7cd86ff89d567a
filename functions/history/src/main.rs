//! The Lambda binary of `history`.

use std::process::ExitCode;

use turnpike_history::{App, router};
use turnpike_shared::runtime::{self, HttpFunction};

fn main() -> ExitCode {
    runtime::serve("history", async |env| {
        let app = App::from_environment(env).await;
        app.map(|app| HttpFunction::on(&app.foundation().clone(), router(app)))
    })
}
