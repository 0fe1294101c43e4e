//! Bodies, piece by piece: every piece is counted before it is kept, and none may be long in coming.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::ApiError;
use crate::budget::{BudgetSpent, ByteBudget, Share};
use crate::config::ServerLimits;

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyBounds {
    pub(crate) max_bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) whole: Duration,
}

impl BodyBounds {
    pub(crate) fn new(max_bytes: u64, limits: &ServerLimits) -> Self {
        Self { max_bytes, idle: limits.body_idle_timeout, whole: limits.body_timeout }
    }
}

/// A body in memory, and its share of what may be held.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// A body that is read piece by piece.
pub(crate) struct BodyReader {
    body: Body,
    left: u64,
    bounds: BodyBounds,
    deadline: Instant,
    share: Share,
}

impl From<BudgetSpent> for ApiError {
    fn from(spent: BudgetSpent) -> Self {
        Self::busy("memory_full", format!("the server holds all it may: {spent}; try again later"), 30)
    }
}

impl BodyReader {
    pub(crate) fn new(body: Body, bounds: BodyBounds, budget: &ByteBudget) -> Self {
        let (left, deadline, share) = (bounds.max_bytes, Instant::now() + bounds.whole, budget.share());
        Self { body, left, bounds, deadline, share }
    }

    /// The share of what was read.
    pub(crate) fn into_share(self) -> Share {
        self.share
    }

    /// The next piece; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let late = |_| {
            ApiError::new(axum::http::StatusCode::REQUEST_TIMEOUT, "slow_body", "the body came too slowly")
        };
        loop {
            let frame = timeout_at(self.deadline, timeout(self.bounds.idle, self.body.frame()));
            let Some(frame) = frame.await.map_err(late)?.map_err(late)? else { return Ok(None) };
            let frame = frame.map_err(|_| ApiError::bad("broken_body", "the body ended early"))?;
            let Ok(data) = frame.into_data() else { continue };
            let limit = self.bounds.max_bytes;
            self.left = self
                .left
                .checked_sub(data.len() as u64)
                .ok_or_else(|| ApiError::too_large(format!("the body has more than {limit} bytes")))?;
            self.share.grow(data.len() as u64)?;
            return Ok(Some(data));
        }
    }
}

/// Reads a whole body.
pub(crate) async fn read_body(
    body: Body,
    bounds: BodyBounds,
    budget: &ByteBudget,
) -> Result<HeldBody, ApiError> {
    let mut reader = BodyReader::new(body, bounds, budget);
    let mut all = BytesMut::new();
    while let Some(piece) = reader.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(HeldBody { bytes: all.freeze(), share: reader.into_share() })
}
