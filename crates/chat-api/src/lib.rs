//! A web chat about CT slices and an OpenAI-compatible API over any model that answers.
//!
//! A [`ChatModel`] goes in; out come an axum [`Router`](axum::Router) ([`ChatServer::router`]), a server with
//! limits and an orderly end ([`serve`]), a page with a slice viewer, and a chat for terminals
//! ([`terminal_chat`]). The crate knows no tensors: the model lives behind the trait, on a thread of its own.
//!
//! It refuses to keep anything: uploads live in memory until they expire, nothing is written, nothing is sent
//! anywhere, and neither logs nor metrics nor answers hold what was asked or whose study it was. Every finding
//! says that it is for research and not for diagnosis.
//!
//! Start at [`ChatModel`] to bring a model, at [`ChatServer`] to serve one. `examples/scripted_server.rs`
//! serves a scripted one.
//!
//! ```no_run
//! # use chat_api::{ChatModel, ChatServer, ServerConfig, serve};
//! # async fn run(model: impl ChatModel) -> Result<(), Box<dyn std::error::Error>> {
//! let server = ChatServer::start(model, ServerConfig::default())?;
//! let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
//! serve(listener, server, async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod app;
mod budget;
mod config;
mod grounding;
mod http;
mod images;
mod model;
mod openai;
mod openapi;
mod random;
mod replica;
mod serve;
mod studies;
mod terminal;
mod web;
mod worker;
mod write_deadline;

pub use app::{ChatServer, StartError};
pub use config::{ExampleStudy, ServerConfig, ServerLimits};
pub use images::{ImageError, RasterImage};
pub use model::{
    AnswerBox, AnswerForm, ChatAnswer, ChatImage, ChatModel, ChatRequest, ChatTurn, Export, Files, Finding,
    FinishReason, ModelCard, ModelError, OnRunEvent, OnText, RunEvent, RunOptions, RunStep, Sampling,
    SliceScore, StudyInput, StudyReport, StudySource, Usage, YesNo,
};
pub use openapi::openapi_json;
pub use replica::{BadReplicaName, REPLICA_COOKIE, ReplicaName};
pub use serve::{ClientAddress, ServeEnd, serve};
pub use studies::{Study, StudyError, StudyKind, open_study};
pub use terminal::{TerminalError, terminal_chat};

/// What everything that is found carries.
pub const RESEARCH_NOTE: &str = "research use only, not for diagnosis";
