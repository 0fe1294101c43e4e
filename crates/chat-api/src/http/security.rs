//! Headers that keep the page to itself, and requests that other pages make.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ApiError;
use crate::app::App;

const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ("cache-control", "no-store"),
];

/// Adds the headers to every reply; a reply's own cache rule stays.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Refuses requests that a page of another origin makes in a user's browser, and host names that are not this
/// server's (a name that somebody else points here).
pub(crate) async fn guard_origin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_page = request.uri().path() == "/";
    match refusal(request.headers(), is_page, &app.config.allowed_hosts) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(headers: &HeaderMap, is_page: bool, allowed: &[String]) -> Option<ApiError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let refused = |code, message| Some(ApiError::new(StatusCode::FORBIDDEN, code, message));
    let host = text(header::HOST);
    if headers.contains_key(header::HOST)
        && !host.and_then(host_name).is_some_and(|name| is_known(name, allowed))
    {
        return refused("unknown_host", "this server does not go by that host name");
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = text(header::ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
        let authority = origin.as_ref().and_then(Uri::authority).map(Authority::as_str);
        if host.is_none() || authority != host {
            return refused("other_origin", "pages of other origins may not ask this server");
        }
    }
    if text(HeaderName::from_static("sec-fetch-site")) == Some("cross-site") && !is_page {
        return refused("other_origin", "pages of other origins may not ask this server");
    }
    None
}

/// The host of a `Host` header, without its port.
fn host_name(host: &str) -> Option<&str> {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(name, _)| name),
        None => host.split(':').next(),
    }
}

fn is_known(name: &str, allowed: &[String]) -> bool {
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_localhost_or_named() {
        let allowed = ["ct.example.org".to_owned()];
        let check = |host: &str, expected: bool| {
            let known = host_name(host).is_some_and(|name| is_known(name, &allowed));
            assert_eq!(known, expected, "{host}");
        };
        check("127.0.0.1:8080", true);
        check("[::1]:8080", true);
        check("LocalHost", true);
        check("ct.example.org", true);
        check("evil.example.org:8080", false);
        check("[::1", false);
        check("", false);
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let check = |pairs: &[(&'static str, &str)], is_page: bool, code: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(refusal(&headers, is_page, &[]).map(|error| error.code), code, "{pairs:?}");
        };
        let (host, origin, site) = (("host", "127.0.0.1:80"), "origin", "sec-fetch-site");
        check(&[], false, None);
        check(&[host, (origin, "http://127.0.0.1:80")], false, None);
        check(&[host, (origin, "http://127.0.0.1:81")], false, Some("other_origin"));
        check(&[host, (origin, "http://evil.example")], false, Some("other_origin"));
        check(&[host, (origin, "null")], false, Some("other_origin"));
        check(&[("host", "evil.example")], false, Some("unknown_host"));
        check(&[host, (site, "cross-site")], false, Some("other_origin"));
        check(&[host, (site, "cross-site")], true, None);
        check(&[host, (site, "same-origin")], false, None);
    }
}
