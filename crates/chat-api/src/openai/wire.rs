//! A request as it comes. Fields of OpenAI's API that are not here are read over.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A conversation to go on with.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatBody {
    /// The model's name, as `/v1/models` gives it; or none.
    pub(crate) model: Option<String>,
    /// The conversation; the last message is the user's.
    pub(crate) messages: Vec<Message>,
    /// Whether the answer is sent as it comes, as server-sent events.
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
    /// Up to four texts at which the answer ends.
    pub(crate) stop: Option<Stop>,
    /// Most tokens of the answer.
    pub(crate) max_tokens: Option<u64>,
    /// The same under its newer name, which wins.
    pub(crate) max_completion_tokens: Option<u64>,
    /// 0 to 2; 0 takes the likeliest token.
    pub(crate) temperature: Option<f32>,
    /// Above 0 and up to 1.
    pub(crate) top_p: Option<f32>,
    /// The same seed draws the same answer.
    pub(crate) seed: Option<i64>,
    /// Must be 1.
    pub(crate) n: Option<u64>,
    /// Tells clients at one address apart, so that each has its turn. It is not kept.
    pub(crate) user: Option<String>,
    pub(crate) response_format: Option<ResponseFormat>,
    /// This server's own: `auto` (what the task tag asks for), `text`, `boxes` or `yes_no`.
    pub(crate) answer_form: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub(crate) tools: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub(crate) functions: Option<Value>,
    pub(crate) logprobs: Option<bool>,
}

/// A message.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Message {
    /// `system`, `developer`, `user` or `assistant`.
    pub(crate) role: String,
    pub(crate) content: Option<Content>,
}

/// What a message says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Content {
    /// Text alone.
    Text(String),
    /// Texts and pictures.
    Parts(Vec<Part>),
}

/// A piece of a message.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Part {
    /// `text` or `image_url`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) text: Option<String>,
    pub(crate) image_url: Option<ImageUrl>,
}

/// A picture.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ImageUrl {
    /// `data:image/png;base64,…`, `data:image/jpeg;base64,…`, or a slice of a study that the server holds:
    /// `study:{id}/{slice}` or `study:{id}/{slice}?window=low,high`. Nothing is fetched from elsewhere.
    pub(crate) url: String,
}

/// What a stream has beside the answer.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// Whether a last chunk tells what the answer cost.
    pub(crate) include_usage: Option<bool>,
}

/// Texts at which an answer ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Stop {
    /// One.
    One(String),
    /// Up to four.
    Many(Vec<String>),
}

/// What form the answer's text has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ResponseFormat {
    /// As the model writes it.
    Text,
    /// JSON of this server's own form.
    JsonObject,
    /// JSON of the given form: boxes, labels, confidences, yes or no, text.
    JsonSchema {
        /// The form.
        json_schema: NamedSchema,
    },
}

/// A JSON schema and its name.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NamedSchema {
    /// The schema.
    #[schema(value_type = Object)]
    pub(crate) schema: Option<Value>,
}
