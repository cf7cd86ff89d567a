//! The Lambda binary of `content`.

use std::process::ExitCode;

use turnpike_content::{App, router};
use turnpike_shared::runtime::{self, HttpFunction};

fn main() -> ExitCode {
    runtime::serve("content", async |env| {
        let app = App::from_environment(env).await;
        app.map(|app| HttpFunction::on(&app.foundation().clone(), router(app)))
    })
}
