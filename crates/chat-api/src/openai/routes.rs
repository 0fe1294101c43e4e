//! A chat, from its body to its answer.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout_at;

use super::conversation::read_messages;
use super::format::OutputFormat;
use super::models::check_model;
use super::parameters::{answer_form, check_unsupported, sampling, stops};
use super::reply::{ChatCompletion, Frame};
use super::stream;
use super::wire::ChatBody;
use crate::app::App;
use crate::grounding::boxes_of;
use crate::http::{ApiError, BodyBounds, ErrorBody, client_key, read_body};
use crate::model::{ChatAnswer, ChatRequest};
use crate::random::unguessable;
use crate::worker::{ChatJob, ChatNews, Submitted};

/// A chat that was handed to the model.
pub(super) struct Asked {
    pub(super) app: Arc<App>,
    pub(super) request: ChatRequest,
    pub(super) format: OutputFormat,
    pub(super) frame: Frame,
    pub(super) with_usage: bool,
    pub(super) news: UnboundedReceiver<ChatNews>,
    pub(super) arrived: Instant,
    pub(super) deadline: Instant,
    pub(super) has_text: bool,
    // Dropped with the rest when the client goes away, which gives the question up.
    pub(super) _submitted: Submitted,
}

/// What a body asks for, read and checked.
struct Checked {
    request: ChatRequest,
    format: OutputFormat,
    stops: Vec<String>,
    user: Option<String>,
    is_stream: bool,
    with_usage: bool,
}

/// Goes on with a conversation about pictures.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "chat", request_body = ChatBody,
    responses((status = 200, body = ChatCompletion), (status = 400, body = ErrorBody),
        (status = 413, body = ErrorBody), (status = 429, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn chat_completions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    let limits = &app.config.limits;
    let held = read_body(body, BodyBounds::new(limits.max_chat_bytes as u64, limits), &app.budget).await?;
    let for_reading = Arc::clone(&app);
    let checked = app.blocking.run(move || {
        let checked = read(&for_reading, &held.bytes);
        drop(held);
        checked
    });
    let Checked { request, format, stops, user, is_stream, with_usage } = checked.await??;
    let client = client_key(&app.config, &parts.extensions, &parts.headers, user.as_deref());
    let (sender, news) = unbounded_channel();
    let deadline = arrived + limits.answer_timeout;
    let job = ChatJob { request: request.clone(), stops, deadline, news: sender, cancel: Default::default() };
    let submitted = app.worker.chat(client, job).map_err(|full| app.full(full))?;
    let number = unguessable().unwrap_or_default();
    let frame = Frame::new(&number, &app.card.id);
    let asked = Asked {
        app,
        request,
        format,
        frame,
        with_usage,
        news,
        arrived,
        deadline,
        has_text: false,
        _submitted: submitted,
    };
    if is_stream { Ok(stream::reply(asked)) } else { whole(asked).await }
}

fn read(app: &App, bytes: &[u8]) -> Result<Checked, ApiError> {
    let body: ChatBody = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::bad("bad_json", format!("the body is no chat request: {error}")))?;
    check_model(app, body.model.as_deref())?;
    check_unsupported(&body)?;
    let sampling = sampling(app, &body)?;
    let asked_form = answer_form(body.answer_form.as_deref())?;
    let stops = stops(body.stop)?;
    let format = OutputFormat::read(body.response_format)?;
    let conversation = read_messages(app, body.messages)?;
    let request = ChatRequest {
        system: conversation.system,
        history: conversation.history,
        images: conversation.images,
        question: conversation.question,
        form: format.answer_form(asked_form),
        sampling,
    };
    let with_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
    let is_stream = body.stream.unwrap_or(false);
    Ok(Checked { request, format, stops, user: body.user, is_stream, with_usage })
}

impl Asked {
    /// The next news, within the request's time.
    pub(super) async fn next(&mut self) -> Result<ChatNews, ApiError> {
        let late = |_| ApiError::busy("timeout", "the answer took too long", 10);
        let gone = || ApiError::busy("stopped", "the server stopped before the answer", 1);
        // The worker ends an answer at its deadline by itself; this is for those that still wait.
        let patience = self.deadline + std::time::Duration::from_secs(1);
        let news = timeout_at(patience.into(), self.news.recv()).await.map_err(late)?.ok_or_else(gone)?;
        if !self.has_text && matches!(news, ChatNews::Text(_)) {
            self.has_text = true;
            self.app.metrics.first_text(self.arrived.elapsed());
        }
        Ok(news)
    }

    /// Counts an answer that is done.
    pub(super) fn count(&self, answer: &ChatAnswer) {
        let usage = answer.usage;
        self.app.answered(self.arrived.elapsed(), usage.prompt_tokens, usage.completion_tokens);
    }
}

async fn whole(mut asked: Asked) -> Result<Response, ApiError> {
    let mut text = String::new();
    let mut answer = loop {
        match asked.next().await? {
            ChatNews::Text(more) => text.push_str(&more),
            ChatNews::Done(result) => break result?,
        }
    };
    asked.count(&answer);
    // The model's own text may go on behind a stop text.
    answer.text = text;
    let boxes = boxes_of(&asked.request, &answer, asked.app.card.box_format);
    let content = asked.format.content(&answer, &boxes);
    let completion: ChatCompletion = asked.frame.whole(content, &answer, &boxes);
    Ok(Json(completion).into_response())
}
