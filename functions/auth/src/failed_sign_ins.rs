//! The layer that counts sign-ins which fail. It sees what the client sees: what was refused by a
//! limit before it came to the handler counts too.

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use turnpike_shared::audit::SignInFailure;

use crate::App;

const SIGN_IN: &str = "/api/v1/auth/login";

pub(crate) async fn count_failed_sign_ins(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let is_sign_in = route.is_some_and(|route| route.as_str() == SIGN_IN);
    let response = next.run(request).await;
    let failure = match response.status() {
        StatusCode::UNAUTHORIZED => Some(SignInFailure::Refused),
        StatusCode::TOO_MANY_REQUESTS => Some(SignInFailure::RateLimited),
        _ => None,
    };
    if let Some(failure) = failure.filter(|_| is_sign_in) {
        app.failed_sign_ins().count(failure);
    }
    response
}
