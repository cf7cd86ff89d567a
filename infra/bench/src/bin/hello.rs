//! The least that a Lambda function on axum can be: what the start of the others is measured
//! against.

use std::process::ExitCode;

use axum::Router;
use axum::routing::get;

fn main() -> ExitCode {
    // As `turnpike_shared::runtime` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let served = runtime.map(|runtime| {
        let routes = Router::new().route("/", get(async || "hello"));
        runtime.block_on(lambda_http::run(routes))
    });
    match served {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}
