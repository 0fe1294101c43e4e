//! The one model.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use vlm_prompt::{BoxFormat, TaskTag};

use crate::RESEARCH_NOTE;
use crate::app::App;
use crate::http::{ApiError, ErrorBody};
use crate::model::ModelCard;

/// Models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    object: &'static str,
    data: Vec<ModelInfo>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelInfo {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    /// One sentence for people.
    description: String,
    /// Tags that say what kind of answer is wanted.
    tasks: Vec<&'static str>,
    /// What it was taught to find.
    structures: Vec<String>,
    max_images: usize,
    max_answer_tokens: usize,
    default_temperature: f32,
    /// Numbers of a box in a text go from 0 to this.
    box_grid: u32,
    /// Limits in HU of the window that slices are rendered with for it.
    window_hu: [f64; 2],
    /// Whether it can look at whole studies.
    runs_studies: bool,
    /// Whether there is an example study.
    has_example: bool,
    note: &'static str,
}

fn info(app: &App) -> ModelInfo {
    let ModelCard { id, description, created_unix_s, box_format, window, structures, .. } = app.card.clone();
    let box_grid = match box_format {
        BoxFormat::Percent100 => 100,
        BoxFormat::Permille1000 => 1000,
    };
    let limits = &app.config.limits;
    ModelInfo {
        id,
        object: "model",
        created: created_unix_s,
        owned_by: "minigpt-pancreas",
        description,
        tasks: TaskTag::ALL.map(TaskTag::as_str).to_vec(),
        structures,
        max_images: app.card.max_images.min(limits.max_images),
        max_answer_tokens: app.card.max_answer_tokens.min(limits.max_answer_tokens),
        default_temperature: app.card.default_temperature,
        box_grid,
        window_hu: [window.low_hu(), window.high_hu()],
        runs_studies: app.card.runs_studies,
        has_example: app.config.example.is_some(),
        note: RESEARCH_NOTE,
    }
}

/// The model that this server has.
#[utoipa::path(get, path = "/v1/models", tag = "chat", responses((status = 200, body = ModelList)))]
pub(crate) async fn list_models(State(app): State<Arc<App>>) -> Json<ModelList> {
    Json(ModelList { object: "list", data: vec![info(&app)] })
}

/// One model.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "chat", params(("id" = String, Path)),
    responses((status = 200, body = ModelInfo), (status = 404, body = ErrorBody)))]
pub(crate) async fn model(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<ModelInfo>, ApiError> {
    check_model(&app, Some(&id))?;
    Ok(Json(info(&app)))
}

/// Whether a request means the model that is here.
pub(super) fn check_model(app: &App, name: Option<&str>) -> Result<(), ApiError> {
    match name {
        Some(name) if name != app.card.id => {
            let message = format!("the model here is `{}`", app.card.id);
            Err(ApiError::not_found("model_not_found", message).at("model"))
        }
        _ => Ok(()),
    }
}
