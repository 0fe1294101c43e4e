//! The optional token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::ApiError;
use crate::app::App;

/// Lets pass who knows the token, where there is one.
pub(crate) async fn require_token(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match &app.config.bearer_token {
        Some(token) if !knows(request.headers(), token) => {
            ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "this server asks for its token")
                .into_response()
        }
        _ => next.run(request).await,
    }
}

fn knows(headers: &HeaderMap, token: &str) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
    let Some((scheme, given)) = value.as_bytes().split_at_checked(7) else { return false };
    // Digests are compared, so that the time tells nothing about the token.
    scheme.eq_ignore_ascii_case(b"bearer ")
        && Sha256::digest(given.trim_ascii()) == Sha256::digest(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let check = |value: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(knows(&headers, "sesame"), expected, "{value}");
        };
        check("Bearer sesame", true);
        check("bearer  sesame", true);
        check("Bearer sesam", false);
        check("Basic sesame", false);
        check("Bearer", false);
        check("", false);
        assert!(!knows(&HeaderMap::new(), "sesame"));
    }
}
