//! A whole study, looked at slice by slice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::report::{FindingsJson, SliceJson};
use super::store::{Entry, Running};
use super::wire::RunRequest;
use crate::app::App;
use crate::http::{ApiError, BodyBounds, ErrorBody, client_key, read_body};
use crate::model::{Export, ModelError, RunEvent, StudyReport};
use crate::worker::{RunJob, RunNews, Submitted};

/// Between two signs of life on a line that has nothing to say.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A run's options are a few words.
const MAX_OPTIONS_BYTES: u64 = 4096;
const MAX_NAME: usize = 80;

/// Looks at a whole study; events `stage`, `progress`, `slice`, then `done` with the findings, or `error`.
/// Whoever goes away gives the run up.
#[utoipa::path(post, path = "/v1/studies/{id}/run", tag = "studies", params(("id" = String, Path)),
    request_body = RunRequest,
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let entry = app.studies.get(&id)?;
    let client = client_key(&app.config, request.extensions(), request.headers(), None);
    let bounds = BodyBounds::new(MAX_OPTIONS_BYTES, &app.config.limits);
    let body = read_body(request.into_body(), bounds, &app.budget).await?;
    let options = if body.bytes.is_empty() {
        RunRequest::default()
    } else {
        let bad = |_| {
            ApiError::bad("bad_json", "the body is not of the form {\"organs\": false, \"anonymize\": false}")
        };
        serde_json::from_slice(&body.bytes).map_err(bad)?
    };
    if !app.card.runs_studies {
        return Err(ApiError::bad("no_runs", "this model cannot look at whole studies"));
    }
    let running = entry.begin_run().ok_or_else(|| {
        let message = "the study is being looked at already";
        ApiError::new(axum::http::StatusCode::CONFLICT, "already_running", message)
    })?;
    let (sender, news) = unbounded_channel();
    let job = RunJob {
        study: Arc::clone(entry.study.input()),
        options: options.into(),
        deadline: Instant::now() + app.config.limits.run_timeout,
        news: sender,
        cancel: Default::default(),
    };
    let submitted = app.worker.run(client, job).map_err(|full| app.full(full))?;
    let line = Line { app, entry, news, _submitted: submitted, _running: running };
    let events = Sse::new(events(line)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(events.into_response())
}

/// A run, and the client that waits for it.
struct Line {
    app: Arc<App>,
    entry: Arc<Entry>,
    news: UnboundedReceiver<RunNews>,
    _submitted: Submitted,
    _running: Running,
}

fn events(line: Line) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(line), |line| async {
        let mut line = line?;
        let news = tokio::select! {
            news = line.news.recv() => news,
            () = line.entry.deleted() => None,
        };
        Some(match news {
            Some(RunNews::Event(event)) => (Ok(progress(&event)), Some(line)),
            Some(RunNews::Done(Ok(report))) => (Ok(done(&line, *report)), None),
            Some(RunNews::Done(Err(error))) => (Ok(failed(error)), None),
            None => (Ok(failed(ModelError::Stopped)), None),
        })
    })
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // Fails only for data that are no JSON, such as maps with odd keys.
    Event::default().event(name).json_data(data).unwrap_or_default()
}

fn progress(news: &RunEvent) -> Event {
    match news {
        RunEvent::Stage(words) => event("stage", &json!({ "stage": words })),
        RunEvent::Progress { done, total } => event("progress", &json!({ "done": done, "total": total })),
        RunEvent::Slice(score) => event("slice", &SliceJson::from(score)),
    }
}

fn failed(error: ModelError) -> Event {
    event("error", &ApiError::from(error).body())
}

fn done(line: &Line, mut report: StudyReport) -> Event {
    let mut bytes: u64 = 0;
    report.exports.retain(|export| {
        bytes += export.bytes.len() as u64;
        let keep = is_usable(export) && bytes <= line.app.config.limits.max_export_bytes;
        if !keep {
            tracing::warn!("an export was left out: its name or its size");
        }
        keep
    });
    let mut share = line.app.budget.share();
    if share.grow(report.exports.iter().map(|export| export.bytes.len() as u64).sum()).is_err() {
        tracing::warn!("exports were left out: the memory is full");
        report.exports.clear();
    }
    let findings = FindingsJson::new(&report, &line.app.card.id);
    line.entry.set_report(Arc::new(report), share);
    event("done", &findings)
}

/// Names are shown, linked and put into a header.
pub(crate) fn is_usable(export: &Export) -> bool {
    let name = &export.name;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name.chars().all(allowed)
        && axum::http::HeaderValue::from_str(&export.media_type).is_ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn only_plain_names_are_offered() {
        let check = |name: &str, media_type: &str, expected: bool| {
            let export =
                Export { name: name.to_owned(), media_type: media_type.to_owned(), bytes: Bytes::new() };
            assert_eq!(is_usable(&export), expected, "{name} {media_type}");
        };
        check("findings.json", "application/json", true);
        check("box-mask_1.nii.gz", "application/gzip", true);
        check("../findings.json", "application/json", false);
        check(".hidden", "application/json", false);
        check("a\"b", "application/json", false);
        check("", "application/json", false);
        check("a", "text/\nplain", false);
    }
}
