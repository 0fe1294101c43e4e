//! Files out of a request: a form with several, or one as the body.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::stream;

use crate::app::App;
use crate::budget::Share;
use crate::http::{ApiError, BodyBounds, BodyReader, read_body};

/// Reads the files of a request; names are let go. The share counts every byte.
pub(super) async fn read_upload(app: &App, request: Request) -> Result<(Vec<Bytes>, Share), ApiError> {
    let bounds = BodyBounds::new(app.config.limits.max_study_bytes, &app.config.limits);
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        return read_form(app, request, bounds).await;
    }
    let held = read_body(request.into_body(), bounds, &app.budget).await?;
    Ok((vec![held.bytes], held.share))
}

async fn read_form(app: &App, request: Request, bounds: BodyBounds) -> Result<(Vec<Bytes>, Share), ApiError> {
    let (parts, body) = request.into_parts();
    // The reader comes back when the stream is done, with its share or with what went wrong.
    let ended: Arc<Mutex<Option<Result<Share, ApiError>>>> = Arc::default();
    let reader = BodyReader::new(body, bounds, &app.budget);
    let put = |end: Result<Share, ApiError>, ended: &Mutex<_>| {
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    };
    let for_stream = Arc::clone(&ended);
    let pieces = stream::unfold(Some(reader), move |reader| {
        let ended = Arc::clone(&for_stream);
        async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
                Ok(None) => {
                    put(Ok(reader.into_share()), &ended);
                    None
                }
                Err(error) => {
                    put(Err(error), &ended);
                    Some((Err(std::io::Error::other("the body broke off")), None))
                }
            }
        }
    });
    let request = Request::from_parts(parts, Body::from_stream(pieces));
    let read = read_fields(request, app.config.limits.max_study_files).await;
    let ended = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (read, ended) {
        // What went wrong below says more than what the form's reader made of it.
        (_, Some(Err(error))) | (Err(error), _) => Err(error),
        (Ok(files), Some(Ok(share))) => Ok((files, share)),
        (Ok(_), None) => Err(ApiError::bad("bad_form", "the form goes on after its end")),
    }
}

async fn read_fields(request: Request, max_files: usize) -> Result<Vec<Bytes>, ApiError> {
    let broken = || ApiError::bad("bad_form", "the body is no well-formed form with files");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
    let mut files = Vec::new();
    while let Some(mut field) = form.next_field().await.map_err(|_| broken())? {
        if files.len() >= max_files {
            return Err(ApiError::too_large(format!("the form has more than {max_files} files")));
        }
        let mut file = BytesMut::new();
        while let Some(piece) = field.chunk().await.map_err(|_| broken())? {
            file.extend_from_slice(&piece);
        }
        files.push(file.freeze());
    }
    Ok(files)
}
