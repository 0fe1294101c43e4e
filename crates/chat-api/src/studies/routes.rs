//! The routes of studies.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::example::make_example;
use super::open::open;
use super::query::{OpenQuery, WindowQuery};
use super::report::FindingsJson;
use super::store::{EXAMPLE_ID, Entry};
use super::upload::read_upload;
use super::{OpenLimits, StudyError, StudyInfo};
use crate::app::App;
use crate::http::{ApiError, ErrorBody};
use crate::replica::ReplicaName;

type Reply = Result<Response, ApiError>;

impl From<StudyError> for ApiError {
    fn from(error: StudyError) -> Self {
        match &error {
            StudyError::Limit { .. } => Self::too_large(error.words()),
            StudyError::Full => Self::busy(error.code(), error.words(), 30),
            StudyError::NoSuchSlice { .. } => Self::not_found(error.code(), error.words()),
            StudyError::Render(_) | StudyError::Example(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.code(), error.words())
            }
            _ if error.code() == "too_large" => Self::too_large(error.words()),
            _ => Self::bad(error.code(), error.words()),
        }
    }
}

fn info(app: &App, entry: &Entry) -> Result<Json<StudyInfo>, ApiError> {
    Ok(Json(StudyInfo::new(entry, app.studies.expiry_s())?))
}

/// The reply to a study that was opened. It lies on this server alone, which a proxy before several is told.
fn created(app: &App, entry: &Entry) -> Reply {
    let mut response = (StatusCode::CREATED, info(app, entry)?).into_response();
    if let Some(cookie) = app.config.replica_name.as_ref().and_then(ReplicaName::set_cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Opens a study: DICOM files, a NIfTI file, PNG or JPEG pictures, or zip files with such; as a form with any
/// number of files, or one file as the body.
#[utoipa::path(post, path = "/v1/studies", tag = "studies", params(OpenQuery),
    request_body(content = Vec<u8>, content_type = "multipart/form-data"),
    responses((status = 201, body = StudyInfo), (status = 400, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 503, body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Query(query): Query<OpenQuery>,
    request: Request,
) -> Reply {
    app.studies.check_room()?;
    let (files, mut share) = read_upload(&app, request).await?;
    let limits = OpenLimits::from(&app.config.limits);
    let opened = app.blocking.run(move || open(files, &limits, query.into(), &mut share).map(|s| (s, share)));
    let (study, share) = opened.await??;
    tracing::info!(kind = study.kind().as_str(), slices = study.n_slices(), "study opened");
    let entry = app.studies.insert(study, share)?;
    created(&app, &entry)
}

/// Opens the study that comes with the server.
#[utoipa::path(post, path = "/v1/studies/example", tag = "studies",
    responses((status = 201, body = StudyInfo), (status = 404, body = ErrorBody)))]
pub(crate) async fn create_example(State(app): State<Arc<App>>, Path(id): Path<String>) -> Reply {
    if id != EXAMPLE_ID {
        return Err(ApiError::not_found("no_example", "the one study that can be asked for is `example`"));
    }
    // One at a time, so that it is made once.
    let _turn = app.making_example.lock().await;
    if let Ok(entry) = app.studies.get(EXAMPLE_ID) {
        return created(&app, &entry);
    }
    let Some(example) = app.config.example.clone() else {
        return Err(ApiError::not_found("no_example", "this server has no example study"));
    };
    let study = app.blocking.run(move || make_example(&example)).await??;
    let mut share = app.budget.share();
    share.grow(study.memory_bytes())?;
    let entry = app.studies.insert_example(study, share)?;
    created(&app, &entry)
}

/// What a study looks like from outside.
#[utoipa::path(get, path = "/v1/studies/{id}", tag = "studies", params(("id" = String, Path)),
    responses((status = 200, body = StudyInfo), (status = 404, body = ErrorBody)))]
pub(crate) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Reply {
    let entry = app.studies.get(&id)?;
    Ok(info(&app, &entry)?.into_response())
}

/// Forgets a study at once.
#[utoipa::path(delete, path = "/v1/studies/{id}", tag = "studies", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Reply {
    app.studies.remove(&id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A slice as PNG: `/v1/studies/{id}/slices/{n}.png?window=low,high`, counted from 0 at the feet.
#[utoipa::path(get, path = "/v1/studies/{id}/slices/{n}.png", tag = "studies",
    params(("id" = String, Path), ("n" = usize, Path), WindowQuery),
    responses((status = 200, content_type = "image/png"), (status = 404, body = ErrorBody)))]
pub(crate) async fn slice_png(
    State(app): State<Arc<App>>,
    Path((id, name)): Path<(String, String)>,
    Query(query): Query<WindowQuery>,
) -> Reply {
    if let Some(number) = name.strip_suffix(".i16") {
        return slice_values(&app, &id, number).await;
    }
    let number = name.strip_suffix(".png").ok_or_else(no_such_slice)?;
    let slice_idx = number.parse().map_err(|_| no_such_slice())?;
    let window = query.window(app.card.window)?;
    let entry = app.studies.get(&id)?;
    let png = app.blocking.run(move || entry.study.slice_png(slice_idx, &window)).await??;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// A slice's Hounsfield units, 16 bits, little endian, row after row; for viewers that window by themselves.
#[utoipa::path(get, path = "/v1/studies/{id}/slices/{n}.i16", tag = "studies",
    params(("id" = String, Path), ("n" = usize, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ErrorBody)))]
pub(crate) async fn slice_values(app: &App, id: &str, number: &str) -> Reply {
    let slice_idx: usize = number.parse().map_err(|_| no_such_slice())?;
    let entry = app.studies.get(id)?;
    let read = app.blocking.run(move || {
        let [columns, rows] = entry.study.slice_size_px(slice_idx)?;
        Ok::<_, StudyError>((entry.study.slice_hu(slice_idx)?, columns, rows))
    });
    let (values, columns, rows) = read.await??;
    let message = "a picture has no Hounsfield units; ask for its PNG";
    let values = values.ok_or_else(|| ApiError::not_found("no_hu", message))?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let number = |n: usize| HeaderValue::from(n);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (HeaderName::from_static("x-columns"), number(columns)),
        (HeaderName::from_static("x-rows"), number(rows)),
    ];
    Ok((headers, bytes).into_response())
}

/// What the last run found.
#[utoipa::path(get, path = "/v1/studies/{id}/findings", tag = "studies", params(("id" = String, Path)),
    responses((status = 200, body = FindingsJson), (status = 404, body = ErrorBody)))]
pub(crate) async fn findings(State(app): State<Arc<App>>, Path(id): Path<String>) -> Reply {
    let entry = app.studies.get(&id)?;
    let report = entry.report().ok_or_else(not_run)?;
    Ok(Json(FindingsJson::new(&report, &app.card.id)).into_response())
}

/// A file for other programs.
#[utoipa::path(get, path = "/v1/studies/{id}/exports/{name}", tag = "studies",
    params(("id" = String, Path), ("name" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ErrorBody)))]
pub(crate) async fn export(State(app): State<Arc<App>>, Path((id, name)): Path<(String, String)>) -> Reply {
    let entry = app.studies.get(&id)?;
    let report = entry.report().ok_or_else(not_run)?;
    let no_export = || ApiError::not_found("no_such_export", "there is no export of that name");
    let export = report.exports.iter().find(|export| export.name == name).ok_or_else(no_export)?;
    let disposition = format!("attachment; filename=\"{}\"", export.name);
    let failed =
        |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the export has no usable name");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_str(&export.media_type).map_err(failed)?),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(failed)?),
    ];
    Ok((headers, export.bytes.clone()).into_response())
}

fn no_such_slice() -> ApiError {
    ApiError::not_found("no_such_slice", "a slice is asked for as `{n}.png` or `{n}.i16`, counted from 0")
}

fn not_run() -> ApiError {
    ApiError::not_found("not_run", "the study was not looked at as a whole yet; start a run first")
}
