//! The page: files of this program, and nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;

/// A file of the page.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

macro_rules! asset {
    ($path:literal, $file:literal, $media_type:literal) => {
        Asset { path: $path, media_type: $media_type, content: include_str!(concat!("../../assets/", $file)) }
    };
}

const JS: &str = "text/javascript; charset=utf-8";

macro_rules! script {
    ($file:literal) => {
        Asset {
            path: concat!("/assets/", $file),
            media_type: JS,
            content: include_str!(concat!("../../assets/", $file)),
        }
    };
}

const ASSETS: &[Asset] = &[
    asset!("/", "index.html", "text/html; charset=utf-8"),
    asset!("/favicon.ico", "icon.svg", "image/svg+xml"),
    asset!("/assets/icon.svg", "icon.svg", "image/svg+xml"),
    asset!("/assets/base.css", "base.css", "text/css; charset=utf-8"),
    asset!("/assets/viewer.css", "viewer.css", "text/css; charset=utf-8"),
    asset!("/assets/chat.css", "chat.css", "text/css; charset=utf-8"),
    script!("main.js"),
    script!("api.js"),
    script!("announce.js"),
    script!("answer.js"),
    script!("chat.js"),
    script!("colors.js"),
    script!("download.js"),
    script!("findings.js"),
    script!("intake.js"),
    script!("overlay.js"),
    script!("pixels.js"),
    script!("run.js"),
    script!("sse.js"),
    script!("viewer.js"),
    script!("windows.js"),
];

/// A route for each file.
pub(crate) fn routes() -> Router<Arc<App>> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(
            asset.path,
            get(async move || -> Response {
                // Looked at again each time, so that a page never meets an older server's files.
                let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, "no-cache")];
                (headers, asset.content).into_response()
            }),
        )
    })
}
