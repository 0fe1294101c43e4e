//! Chat as OpenAI's API has it.

mod conversation;
mod data_url;
mod format;
mod models;
mod parameters;
mod reply;
mod routes;
mod schema;
mod schema_fill;
mod stream;
mod wire;

pub(crate) use models::{list_models, model};
pub(crate) use reply::{ChatCompletion, ChatCompletionChunk};
pub(crate) use routes::chat_completions;
pub(crate) mod paths {
    //! What the OpenAPI document is made of.
    pub(crate) use super::models::{__path_list_models, __path_model};
    pub(crate) use super::routes::__path_chat_completions;
}
