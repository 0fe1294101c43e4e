//! The server's parts, and its routes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::budget::ByteBudget;
use crate::config::ServerConfig;
use crate::http::{
    ApiError, Blocking, Metrics, close_when_draining, guard_origin, healthz, log_requests, metrics_text,
    panic_reply, readyz, require_token, security_headers,
};
use crate::model::{ChatModel, ModelCard};
use crate::studies::StudyStore;
use crate::worker::{QueueFull, WorkerHandle};
use crate::{openai, openapi, studies, web, worker};

/// What every route may look at.
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    pub(crate) card: ModelCard,
    pub(crate) worker: WorkerHandle,
    pub(crate) studies: StudyStore,
    pub(crate) budget: ByteBudget,
    pub(crate) blocking: Blocking,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) draining: AtomicBool,
    pub(crate) making_example: tokio::sync::Mutex<()>,
    pace: std::sync::Mutex<Duration>,
}

impl App {
    /// Counts an answer, and learns how long answers take.
    pub(crate) fn answered(&self, after: Duration, prompt_tokens: usize, completion_tokens: usize) {
        self.metrics.answered(after, prompt_tokens, completion_tokens);
        let mut pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *pace = (*pace * 3 + after) / 4;
    }

    /// The refusal where the queue is full, with the time after which there may be room.
    pub(crate) fn full(&self, full: QueueFull) -> ApiError {
        if self.draining.load(Ordering::Relaxed) {
            return ApiError::busy("shutting_down", "the server is about to end", 10);
        }
        let pace = *self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ApiError::full(full, pace.as_secs().clamp(1, 60))
    }
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The model's thread could not be started.
    #[error("cannot start the model's thread")]
    Thread(#[source] io::Error),
}

/// A model behind its API. Dropping the last hold on it ends the model's thread after what it is at.
#[derive(Clone)]
pub struct ChatServer {
    pub(crate) app: Arc<App>,
}

impl std::fmt::Debug for ChatServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatServer").field("model", &self.app.card.id).finish_non_exhaustive()
    }
}

impl ChatServer {
    /// Moves a model to a thread of its own.
    ///
    /// # Errors
    /// [`StartError::Thread`].
    pub fn start(model: impl ChatModel, config: ServerConfig) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let limits = &config.limits;
        let (capacity, of_client) = (limits.queue_capacity.get(), limits.client_queue_capacity.get());
        let (worker, card) =
            worker::start(model, capacity, of_client, Arc::clone(&metrics)).map_err(StartError::Thread)?;
        let app = App {
            card,
            worker,
            studies: StudyStore::new(limits.max_studies, limits.study_expiry),
            budget: ByteBudget::new(limits.max_memory_bytes),
            blocking: Blocking::new(),
            metrics,
            draining: AtomicBool::new(false),
            making_example: tokio::sync::Mutex::default(),
            pace: std::sync::Mutex::new(Duration::from_secs(1)),
            config,
        };
        Ok(Self { app: Arc::new(app) })
    }

    /// All routes. For a server of one's own; [`serve`](crate::serve) adds the limits on connections.
    pub fn router(&self) -> Router {
        let app = &self.app;
        let guarded = Router::new()
            .route("/v1/chat/completions", post(openai::chat_completions))
            .route("/v1/models", get(openai::list_models))
            .route("/v1/models/{id}", get(openai::model))
            .route("/v1/studies", post(studies::create))
            .route(
                "/v1/studies/{id}",
                get(studies::get).delete(studies::delete).post(studies::create_example),
            )
            .route("/v1/studies/{id}/slices/{name}", get(studies::slice_png))
            .route("/v1/studies/{id}/run", post(studies::run))
            .route("/v1/studies/{id}/findings", get(studies::findings))
            .route("/v1/studies/{id}/exports/{name}", get(studies::export))
            .route("/metrics", get(metrics_text))
            .route_layer(from_fn_with_state(Arc::clone(app), require_token));
        let for_panics = Arc::clone(&app.metrics);
        guarded
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/openapi.json", get(openapi::document))
            .merge(web::routes())
            .fallback(async || ApiError::not_found("not_found", "there is nothing at this address"))
            .method_not_allowed_fallback(async || {
                let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
                ApiError::new(status, "method_not_allowed", "this address is asked in another way")
            })
            // Every body is read within bounds of this crate's own, which are larger for studies.
            .layer(DefaultBodyLimit::disable())
            .layer(CatchPanicLayer::custom(move |cause| {
                for_panics.panic();
                panic_reply(cause)
            }))
            .layer(from_fn_with_state(Arc::clone(app), guard_origin))
            .layer(from_fn_with_state(Arc::clone(app), close_when_draining))
            .layer(from_fn_with_state(Arc::clone(app), log_requests))
            .layer(from_fn(security_headers))
            .with_state(Arc::clone(app))
    }
}
