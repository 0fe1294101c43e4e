//! The numbers of a request, checked.

use super::wire::{ChatBody, Stop};
use crate::app::App;
use crate::http::ApiError;
use crate::model::{AnswerForm, Sampling};

/// Texts at which an answer ends, at most.
const MAX_STOPS: usize = 4;
const MAX_STOP_BYTES: usize = 256;

/// Refuses what this server does not do, so that nobody believes it was done.
pub(super) fn check_unsupported(body: &ChatBody) -> Result<(), ApiError> {
    let is_asked = |value: &Option<serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => false,
        Some(serde_json::Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    let refused = [
        ("tools", is_asked(&body.tools)),
        ("functions", is_asked(&body.functions)),
        ("logprobs", body.logprobs == Some(true)),
        ("n", body.n.is_some_and(|n| n != 1)),
    ];
    match refused.into_iter().find(|(_, is_asked)| *is_asked) {
        Some((name, _)) => {
            Err(ApiError::bad("unsupported_parameter", format!("`{name}` is not supported")).at(name))
        }
        None => Ok(()),
    }
}

/// How tokens are chosen. More tokens than there can be are as many as there can be.
pub(super) fn sampling(app: &App, body: &ChatBody) -> Result<Sampling, ApiError> {
    let most = app.config.limits.max_answer_tokens.min(app.card.max_answer_tokens).max(1);
    let asked = body.max_completion_tokens.or(body.max_tokens);
    if asked == Some(0) {
        return Err(bad_number("max_tokens", "must be at least 1"));
    }
    let temperature = body.temperature.unwrap_or(app.card.default_temperature);
    if !(0.0..=2.0).contains(&temperature) {
        return Err(bad_number("temperature", "must be from 0 to 2"));
    }
    let top_p = body.top_p.unwrap_or(1.0);
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(bad_number("top_p", "must be above 0 and up to 1"));
    }
    let max_tokens = asked.map_or(most, |n| usize::try_from(n).unwrap_or(usize::MAX).min(most));
    Ok(Sampling { max_tokens, temperature, top_p, seed: body.seed.map(i64::cast_unsigned) })
}

/// Texts at which the answer ends.
pub(super) fn stops(stop: Option<Stop>) -> Result<Vec<String>, ApiError> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(text)) => vec![text],
        Some(Stop::Many(texts)) => texts,
    };
    if stops.len() > MAX_STOPS || stops.iter().any(|text| text.len() > MAX_STOP_BYTES) {
        let message = format!("must be up to {MAX_STOPS} texts of up to {MAX_STOP_BYTES} bytes");
        return Err(bad_number("stop", &message));
    }
    Ok(stops)
}

/// This server's own parameter.
pub(super) fn answer_form(name: Option<&str>) -> Result<AnswerForm, ApiError> {
    match name {
        None | Some("auto") => Ok(AnswerForm::Auto),
        Some("text") => Ok(AnswerForm::Text),
        Some("boxes") => Ok(AnswerForm::Boxes),
        Some("yes_no") => Ok(AnswerForm::YesNo),
        Some(_) => Err(bad_number("answer_form", "must be auto, text, boxes or yes_no")),
    }
}

fn bad_number(name: &'static str, rule: &str) -> ApiError {
    ApiError::bad("invalid_value", format!("`{name}` {rule}")).at(name)
}
