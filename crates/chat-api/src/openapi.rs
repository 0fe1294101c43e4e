//! The API, described for programs.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use crate::http::{ErrorBody, ErrorDetail};
use crate::openai::{ChatCompletion, ChatCompletionChunk};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "minigpt-pancreas",
        description = "Chat about CT slices of the pancreas, compatible with OpenAI's chat completions, and whole \
                       studies. Research use only, not for diagnosis."
    ),
    paths(
        crate::openai::paths::chat_completions,
        crate::openai::paths::list_models,
        crate::openai::paths::model,
        crate::studies::paths::create,
        crate::studies::paths::create_example,
        crate::studies::paths::get,
        crate::studies::paths::delete,
        crate::studies::paths::slice_png,
        crate::studies::paths::slice_values,
        crate::studies::paths::run,
        crate::studies::paths::findings,
        crate::studies::paths::export,
        crate::http::paths::healthz,
        crate::http::paths::readyz,
        crate::http::paths::metrics_text,
    ),
    components(schemas(ErrorBody, ErrorDetail, ChatCompletion, ChatCompletionChunk))
)]
struct Document;

/// The OpenAPI document, as JSON.
#[must_use]
pub fn openapi_json() -> String {
    // Fails only for data that are no JSON.
    Document::openapi().to_pretty_json().unwrap_or_default()
}

/// The OpenAPI document.
pub(crate) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json()).into_response()
}
