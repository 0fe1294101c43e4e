//! Answers as OpenAI's API gives them, with the boxes beside them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

use crate::RESEARCH_NOTE;
use crate::model::{AnswerBox, ChatAnswer, FinishReason, Usage};
use crate::studies::BoxJson;

/// A whole answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatCompletion {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<Choice>,
    usage: UsageJson,
    grounding: Grounding,
}

/// The one answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Choice {
    index: u32,
    message: ReplyMessage,
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    /// `stop` or `length`.
    finish_reason: &'static str,
}

/// What the model says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplyMessage {
    role: &'static str,
    content: String,
    #[schema(value_type = Option<String>)]
    refusal: Option<()>,
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct UsageJson {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

/// What the answer says in numbers; this server's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Grounding {
    note: &'static str,
    boxes: Vec<BoxJson>,
    yes_no: Option<YesNoJson>,
}

/// An answer of one word.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct YesNoJson {
    yes: bool,
    yes_probability: Option<f64>,
}

/// A piece of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatCompletionChunk {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageJson>,
    /// In the chunk that ends the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    grounding: Option<Grounding>,
}

/// A piece of the one answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    index: u32,
    delta: Delta,
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

/// New text.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl From<Usage> for UsageJson {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, completion_tokens } = usage;
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

impl Grounding {
    fn new(answer: &ChatAnswer, boxes: &[AnswerBox]) -> Self {
        let yes_no =
            answer.yes_no.map(|word| YesNoJson { yes: word.yes, yes_probability: word.yes_probability });
        Self { note: RESEARCH_NOTE, boxes: boxes.iter().map(BoxJson::from).collect(), yes_no }
    }
}

fn finish_reason(answer: &ChatAnswer) -> &'static str {
    match answer.finish {
        FinishReason::Stop | FinishReason::Stopped => "stop",
        FinishReason::Length => "length",
    }
}

/// What all pieces of one answer have in common.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    id: String,
    created: u64,
    model: String,
}

impl Frame {
    pub(super) fn new(number: &str, model: &str) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { id: format!("chatcmpl-{number}"), created, model: model.to_owned() }
    }

    pub(super) fn whole(self, content: String, answer: &ChatAnswer, boxes: &[AnswerBox]) -> ChatCompletion {
        let message = ReplyMessage { role: "assistant", content, refusal: None };
        let choice = Choice { index: 0, message, logprobs: None, finish_reason: finish_reason(answer) };
        ChatCompletion {
            id: self.id,
            object: "chat.completion",
            created: self.created,
            model: self.model,
            choices: vec![choice],
            usage: answer.usage.into(),
            grounding: Grounding::new(answer, boxes),
        }
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<&'static str>) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            choices: vec![ChunkChoice { index: 0, delta, logprobs: None, finish_reason }],
            usage: None,
            grounding: None,
        }
    }

    pub(super) fn first(&self) -> ChatCompletionChunk {
        self.chunk(Delta { role: Some("assistant"), content: Some(String::new()) }, None)
    }

    pub(super) fn text(&self, text: String) -> ChatCompletionChunk {
        self.chunk(Delta { role: None, content: Some(text) }, None)
    }

    pub(super) fn last(&self, answer: &ChatAnswer, boxes: &[AnswerBox]) -> ChatCompletionChunk {
        let chunk = self.chunk(Delta::default(), Some(finish_reason(answer)));
        ChatCompletionChunk { grounding: Some(Grounding::new(answer, boxes)), ..chunk }
    }

    pub(super) fn usage(&self, usage: Usage) -> ChatCompletionChunk {
        let chunk = self.chunk(Delta::default(), None);
        ChatCompletionChunk { choices: Vec::new(), usage: Some(usage.into()), ..chunk }
    }
}
