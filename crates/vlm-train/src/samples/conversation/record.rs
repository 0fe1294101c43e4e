//! One conversation of a file.

use serde_json::Value;

use super::{ConversationLimits, TrainingTurn};

/// LLaVA's marker of an image.
const MARKER: &str = "<image>";

/// A conversation with its images by name.
pub(super) struct Record {
    pub(super) images: Vec<String>,
    pub(super) turns: Vec<TrainingTurn>,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
}

struct Message {
    role: Role,
    text: String,
    images: Vec<String>,
}

/// Reads a record of either form; the error says what is wrong with it.
pub(super) fn read_record(record: &Value, limits: &ConversationLimits) -> Result<Record, String> {
    let (mut images, messages) = match (record.get("conversations"), record.get("messages")) {
        (Some(list), None) => (image_field(record)?, llava(list)?),
        (None, Some(list)) => (Vec::new(), openai(list)?),
        _ => return Err("expected either `conversations` or `messages`".to_owned()),
    };
    let mut turns: Vec<TrainingTurn> = Vec::new();
    let mut system = String::new();
    let mut question: Option<String> = None;
    let mut n_markers = 0;
    for message in messages {
        if message.text.len() > limits.max_text_bytes {
            return Err(format!("a text of {} bytes, at most {}", message.text.len(), limits.max_text_bytes));
        }
        let n_here = message.text.matches(MARKER).count();
        let has_images = n_here > 0 || !message.images.is_empty();
        if has_images && !(message.role == Role::User && turns.is_empty()) {
            return Err("images are read in the first question only".to_owned());
        }
        n_markers += n_here;
        images.extend(message.images);
        let text = message.text.replace(MARKER, " ").trim().to_owned();
        match message.role {
            Role::System if turns.is_empty() && question.is_none() => {
                system.push_str(&text);
                system.push(' ');
            }
            Role::User if question.is_none() => {
                question = Some(format!("{system}{text}").trim().to_owned());
                system.clear();
            }
            Role::Assistant => {
                let question = question.take().ok_or("an answer without a question")?;
                if text.is_empty() {
                    return Err("an empty answer".to_owned());
                }
                turns.push(TrainingTurn { question, answer: text });
            }
            _ => return Err("questions and answers do not alternate".to_owned()),
        }
    }
    if turns.is_empty() {
        return Err("no question with an answer".to_owned());
    }
    if question.is_some() {
        return Err("the last question has no answer".to_owned());
    }
    if n_markers > 0 && n_markers != images.len() {
        return Err(format!("{n_markers} image markers for {} images", images.len()));
    }
    if images.len() > limits.max_images {
        return Err(format!("{} images, at most {}", images.len(), limits.max_images));
    }
    Ok(Record { images, turns })
}

/// LLaVA's `image` or `images`: one name or a list.
fn image_field(record: &Value) -> Result<Vec<String>, String> {
    let field = record.get("image").or_else(|| record.get("images"));
    match field {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(names)) => names.iter().map(image_name).collect(),
        Some(name) => Ok(vec![image_name(name)?]),
    }
}

fn image_name(value: &Value) -> Result<String, String> {
    let name = value.as_str().ok_or("an image is named by a text")?;
    let name = name.strip_prefix("file://").unwrap_or(name);
    if name.is_empty() {
        return Err("an image without a name".to_owned());
    }
    if name.starts_with("data:") || name.contains("://") {
        return Err("images are read from files only, not from addresses or out of the text".to_owned());
    }
    Ok(name.to_owned())
}

fn llava(list: &Value) -> Result<Vec<Message>, String> {
    let list = list.as_array().ok_or("`conversations` is no list")?;
    list.iter()
        .map(|message| {
            let role = match message.get("from").and_then(Value::as_str) {
                Some("human" | "user") => Role::User,
                Some("gpt" | "assistant") => Role::Assistant,
                Some("system") => Role::System,
                other => return Err(format!("`from` is {other:?}, expected `human` or `gpt`")),
            };
            let text = message.get("value").and_then(Value::as_str).ok_or("`value` is no text")?;
            Ok(Message { role, text: text.to_owned(), images: Vec::new() })
        })
        .collect()
}

fn openai(list: &Value) -> Result<Vec<Message>, String> {
    let list = list.as_array().ok_or("`messages` is no list")?;
    list.iter()
        .map(|message| {
            let role = match message.get("role").and_then(Value::as_str) {
                Some("user") => Role::User,
                Some("assistant") => Role::Assistant,
                Some("system" | "developer") => Role::System,
                other => return Err(format!("`role` is {other:?}, expected `user` or `assistant`")),
            };
            let (text, images) = match message.get("content") {
                Some(Value::String(text)) => (text.clone(), Vec::new()),
                Some(Value::Array(parts)) => content_parts(parts)?,
                _ => return Err("`content` is neither a text nor a list".to_owned()),
            };
            Ok(Message { role, text, images })
        })
        .collect()
}

fn content_parts(parts: &[Value]) -> Result<(String, Vec<String>), String> {
    let mut texts = Vec::new();
    let mut images = Vec::new();
    for part in parts {
        match part.get("type").and_then(Value::as_str) {
            Some("text") => {
                let text = part.get("text").and_then(Value::as_str).ok_or("`text` is no text")?;
                texts.push(text.trim());
            }
            Some("image") => {
                let name = part.get("image").or_else(|| part.get("path")).ok_or("an image without a name")?;
                images.push(image_name(name)?);
            }
            Some("image_url") => {
                let url = part.get("image_url").ok_or("an image without a name")?;
                images.push(image_name(url.get("url").unwrap_or(url))?);
            }
            other => return Err(format!("a part of type {other:?} is not read")),
        }
    }
    Ok((texts.join(" "), images))
}
