//! Whether the server lives, whether it is ready, and its numbers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "it lives")))]
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// The model's thread is there and the server takes requests.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "it takes requests"),
    (status = 503, description = "it is about to end, or the model's thread is gone"),
))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let is_ready = app.worker.is_alive() && !app.draining.load(Ordering::Relaxed);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": is_ready,
        "model": app.card.id,
        "waiting": app.worker.waiting(),
        "active": app.worker.active(),
    });
    (status, Json(body)).into_response()
}

/// Numbers in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "numbers")))]
pub(crate) async fn metrics_text(State(app): State<Arc<App>>) -> Response {
    let text = app.metrics.render(app.studies.len(), app.budget.used());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
