//! The Lambda binary of `query`.

use std::process::ExitCode;

use turnpike_query::{App, router};
use turnpike_shared::runtime::{self, HttpFunction};

fn main() -> ExitCode {
    runtime::serve("query", async |env| {
        let app = App::from_environment(env).await;
        app.map(|app| HttpFunction::on(&app.foundation().clone(), router(app)))
    })
}
