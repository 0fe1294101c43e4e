//! Messages to turns.

use super::data_url::decode_data_url;
use super::wire::{Content, ImageUrl, Message};
use crate::app::App;
use crate::http::ApiError;
use crate::images::ImageLimits;
use crate::model::{ChatImage, ChatTurn};
use crate::studies::SliceReference;

/// A conversation whose last turn waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Option<String>,
    pub(super) history: Vec<ChatTurn>,
    pub(super) images: Vec<ChatImage>,
    pub(super) question: String,
}

/// A question that is being put together.
#[derive(Default)]
struct Open {
    texts: Vec<String>,
    images: Vec<ChatImage>,
}

struct Reader<'a> {
    app: &'a App,
    n_images: usize,
    n_bytes: usize,
}

/// Reads messages in turn: system first or anywhere, then user and assistant; several of one role in a row are
/// one.
pub(super) fn read_messages(app: &App, messages: Vec<Message>) -> Result<Conversation, ApiError> {
    let limits = &app.config.limits;
    if messages.len() > 2 * limits.max_turns {
        let message = format!("{} messages are more than {}", messages.len(), 2 * limits.max_turns);
        return Err(ApiError::bad("too_many_messages", message).at("messages"));
    }
    let mut reader = Reader { app, n_images: 0, n_bytes: 0 };
    let mut conversation = Conversation::default();
    let mut systems = Vec::new();
    let mut open: Option<Open> = None;
    let mut answered = false;
    for (place, message) in messages.into_iter().enumerate() {
        let at = |error: ApiError| error.at(format!("messages[{place}]"));
        let (texts, images) = reader.read(message.content).map_err(at)?;
        match message.role.as_str() {
            "system" | "developer" => systems.extend(texts),
            "user" => {
                answered = false;
                let open = open.get_or_insert_default();
                open.texts.extend(texts);
                open.images.extend(images);
            }
            "assistant" if !images.is_empty() => {
                return Err(at(ApiError::bad("bad_message", "an assistant's message holds no pictures")));
            }
            "assistant" => {
                let answer = texts.join("\n");
                match (open.take(), conversation.history.last_mut()) {
                    (Some(Open { texts, images }), _) => {
                        let question = texts.join("\n");
                        conversation.history.push(ChatTurn { images, question, answer });
                    }
                    (None, Some(turn)) if answered => {
                        turn.answer.push('\n');
                        turn.answer.push_str(&answer);
                    }
                    _ => {
                        return Err(at(ApiError::bad(
                            "bad_message",
                            "an assistant's message answers nothing",
                        )));
                    }
                }
                answered = true;
            }
            _ => {
                let message = "the roles are system, developer, user and assistant";
                return Err(at(ApiError::bad("bad_role", message)));
            }
        }
    }
    let Some(Open { texts, images }) = open else {
        return Err(ApiError::bad("no_question", "the last message must be the user's").at("messages"));
    };
    conversation.system = (!systems.is_empty()).then(|| systems.join("\n"));
    conversation.images = images;
    conversation.question = texts.join("\n");
    if conversation.question.trim().is_empty() {
        return Err(ApiError::bad("empty_question", "the last message has no text").at("messages"));
    }
    Ok(conversation)
}

impl Reader<'_> {
    fn read(&mut self, content: Option<Content>) -> Result<(Vec<String>, Vec<ChatImage>), ApiError> {
        let (mut texts, mut images) = (Vec::new(), Vec::new());
        match content {
            None => {}
            Some(Content::Text(text)) => texts.push(self.text(text)?),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    match (part.kind.as_str(), part.text, part.image_url) {
                        ("text", Some(text), _) => texts.push(self.text(text)?),
                        ("image_url", _, Some(url)) => images.push(self.image(&url)?),
                        _ => return Err(ApiError::bad("bad_part", "a part is a text or an image_url")),
                    }
                }
            }
        }
        texts.retain(|text| !text.is_empty());
        Ok((texts, images))
    }

    fn text(&mut self, text: String) -> Result<String, ApiError> {
        self.n_bytes += text.len();
        let limit = self.app.config.limits.max_text_bytes;
        if self.n_bytes > limit {
            let message = format!("the conversation's text has more than {limit} bytes");
            return Err(ApiError::bad("context_length_exceeded", message));
        }
        Ok(text)
    }

    fn image(&mut self, url: &ImageUrl) -> Result<ChatImage, ApiError> {
        self.n_images += 1;
        let (limits, card) = (&self.app.config.limits, &self.app.card);
        let most = limits.max_images.min(card.max_images);
        if self.n_images > most {
            return Err(ApiError::bad(
                "too_many_images",
                format!("this model takes at most {most} pictures"),
            ));
        }
        if let Some(reference) = SliceReference::parse(&url.url) {
            let SliceReference { study, slice_idx, window } = reference?;
            let entry = self.app.studies.get(&study)?;
            return Ok(entry.study.chat_image(slice_idx, &window.unwrap_or(card.window))?);
        }
        let bounds = ImageLimits { max_bytes: limits.max_image_bytes, max_pixels: limits.max_image_pixels };
        let failed = |_| ApiError::bad("bad_image", "the picture cannot be used");
        decode_data_url(&url.url, &bounds)?.to_chat_image().map_err(failed)
    }
}
