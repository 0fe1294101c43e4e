//! Text of an answer, token by token.

use std::ops::ControlFlow;

use chat_api::{FinishReason, ModelError};
use vlm_infer::{Response, TextEvent};
use vlm_model::StopReason;
use vlm_prompt::{Tokenizer, decode_answer};

use super::expert::Emit;
use super::final_text::FinalText;

/// What was handed out.
pub(super) struct HandedOut {
    pub(super) text: String,
    pub(super) n_tokens: usize,
    pub(super) finish: FinishReason,
}

/// Hands out an answer that is known, as if it came token by token.
pub(super) fn hand_out(
    tokenizer: &Tokenizer,
    tokens: &[u32],
    max_tokens: usize,
    emit: &mut Emit<'_>,
) -> Result<HandedOut, ModelError> {
    let mut text = String::new();
    for n_tokens in 1..=tokens.len() {
        let unreadable = |_| ModelError::Failed { reason: "an answer cannot be read".to_owned() };
        let now = decode_answer(tokenizer, &tokens[..n_tokens]).map_err(unreadable)?;
        let whole =
            if n_tokens == tokens.len() { &now } else { now.trim_end_matches(char::REPLACEMENT_CHARACTER) };
        let new = whole.strip_prefix(text.as_str()).unwrap_or_default().to_owned();
        text.push_str(&new);
        if emit(&new).is_break() {
            return Ok(HandedOut { text, n_tokens, finish: FinishReason::Stopped });
        }
        if n_tokens == max_tokens && n_tokens < tokens.len() {
            return Ok(HandedOut { text, n_tokens, finish: FinishReason::Length });
        }
    }
    Ok(HandedOut { text, n_tokens: tokens.len(), finish: FinishReason::Stop })
}

/// Hands out an answer while it is generated.
pub(super) fn hand_out_live(
    ask: impl FnOnce(&mut dyn FnMut(TextEvent<'_>) -> ControlFlow<()>) -> Result<Response, ModelError>,
    emit: &mut Emit<'_>,
) -> Result<(Response, HandedOut), ModelError> {
    let mut text = FinalText::default();
    let mut is_stopped = false;
    let response = ask(&mut |event| {
        let certain = text.push(event);
        is_stopped = is_stopped || emit(certain).is_break();
        if is_stopped || text.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let rest = text.finish();
    if !is_stopped && !rest.is_empty() {
        // Nothing is left to be stopped.
        let _ = emit(rest);
    }
    let finish = match response.stop_reason {
        _ if is_stopped => FinishReason::Stopped,
        Some(StopReason::Length) => FinishReason::Length,
        _ => FinishReason::Stop,
    };
    let n_tokens = response.n_new_tokens;
    Ok((response, HandedOut { text: text.into_text(), n_tokens, finish }))
}
