//! What every route shares: errors, bodies, who may ask, headers, logs, numbers.

mod access;
mod blocking;
mod body;
mod client;
mod draining;
mod error;
mod health;
mod log;
mod metrics;
mod security;

pub(crate) use access::require_token;
pub(crate) use blocking::Blocking;
pub(crate) use body::{BodyBounds, BodyReader, read_body};
pub(crate) use client::client_key;
pub(crate) use draining::close_when_draining;
pub(crate) use error::{ApiError, ErrorBody, ErrorDetail, panic_reply};
pub(crate) use health::{healthz, metrics_text, readyz};
pub(crate) use log::log_requests;
pub(crate) use metrics::Metrics;
pub(crate) use security::{guard_origin, security_headers};
pub(crate) mod paths {
    //! What the OpenAPI document is made of.
    pub(crate) use super::health::{__path_healthz, __path_metrics_text, __path_readyz};
}
