//! Conversations of other projects' files: any question-and-answer or report data.
//!
//! A file is a JSON array, or JSON lines. Two forms are read, both with one or several turns and
//! with images or without:
//!
//! ```text
//! LLaVA   {"image": "a.png" | ["a.png"], "conversations": [{"from": "human", "value": "<image>\nQ"},
//!                                                          {"from": "gpt", "value": "A"}]}
//! OpenAI  {"messages": [{"role": "system" | "user" | "assistant", "content": "Q" | [parts]}]}
//!         parts: {"type": "text", "text": "Q"}, {"type": "image_url", "image_url": {"url": "a.png"}},
//!                {"type": "image", "image": "a.png"}
//! ```

mod record;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use vlm_prompt::{InstructionSeed, TaskTag};

use super::{ImageId, SampleSource, TrainingItem, TrainingTurn};
use crate::TrainError;
use crate::atomic::io_error;
use crate::error::CallerError;
use record::read_record;

/// What a file of conversations may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationLimits {
    /// Bytes of the file.
    pub max_bytes: u64,
    /// Conversations.
    pub max_items: usize,
    /// Bytes of one text.
    pub max_text_bytes: usize,
    /// Images of one conversation.
    pub max_images: usize,
}

impl Default for ConversationLimits {
    /// 1 GiB, 10 million conversations, texts of 64 KiB, 16 images.
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_items: 10_000_000, max_text_bytes: 64 << 10, max_images: 16 }
    }
}

/// Samples of a file of conversations.
///
/// Images are numbered in the order in which the file names them first; the same name is the same
/// image. Nothing is known of the images but these names.
#[derive(Debug, Clone)]
pub struct ConversationSource {
    name: String,
    items: Vec<TrainingItem>,
    image_names: Vec<String>,
    first_image: u64,
    default_tag: Option<TaskTag>,
    fingerprint: [u8; 32],
}

impl ConversationSource {
    /// Reads a file. A path that ends in `.jsonl` or `.ndjson` is JSON lines, another a JSON array.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::Conversation`] naming file, line or record, and what is
    /// wrong: other JSON, roles that do not alternate, an empty answer, images and markers of
    /// different number, an image after the first question, an image that is no file, or more than
    /// the limits allow.
    pub fn read(
        name: impl Into<String>,
        path: &Path,
        limits: &ConversationLimits,
    ) -> Result<Self, TrainError> {
        let wrong = |place: &str, reason: String| TrainError::Conversation {
            path: path.to_owned(),
            place: place.to_owned(),
            reason,
        };
        let mut text = Vec::new();
        let file = fs_err::File::open(path).map_err(io_error(path))?;
        file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut text).map_err(io_error(path))?;
        if text.len() as u64 > limits.max_bytes {
            return Err(wrong("file", format!("more than {} bytes", limits.max_bytes)));
        }
        let is_lines = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
        let records = if is_lines { lines(&text, &wrong)? } else { array(&text, &wrong)? };
        if records.len() > limits.max_items {
            return Err(wrong(
                "file",
                format!("{} conversations, at most {}", records.len(), limits.max_items),
            ));
        }
        let mut image_names = Vec::new();
        let mut places: HashMap<String, u64> = HashMap::new();
        let mut items = Vec::with_capacity(records.len());
        for (place, record) in records {
            let record = read_record(&record, limits).map_err(|reason| wrong(&place, reason))?;
            let images = record.images.into_iter().map(|name| {
                let next = image_names.len() as u64;
                let number = *places.entry(name.clone()).or_insert_with(|| {
                    image_names.push(name);
                    next
                });
                ImageId(number)
            });
            items.push(TrainingItem { images: images.collect(), turns: record.turns });
        }
        let fingerprint = Sha256::digest(&text).into();
        Ok(Self { name: name.into(), items, image_names, first_image: 0, default_tag: None, fingerprint })
    }

    /// This source with its images numbered from here on, where other sources have the numbers
    /// before.
    #[must_use]
    pub fn with_first_image(mut self, first: u64) -> Self {
        self.first_image = first;
        self
    }

    /// This source with a task tag in front of every question that has none.
    #[must_use]
    pub fn with_default_tag(mut self, tag: TaskTag) -> Self {
        self.default_tag = Some(tag);
        self
    }

    /// Every image with its name in the file.
    pub fn images(&self) -> impl Iterator<Item = (ImageId, &str)> {
        (self.first_image..).map(ImageId).zip(self.image_names.iter().map(String::as_str))
    }

    /// The conversations as they are in the file, images numbered from 0.
    #[must_use]
    pub fn items(&self) -> &[TrainingItem] {
        &self.items
    }
}

impl SampleSource for ConversationSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn item(&self, index: usize, _draw: InstructionSeed) -> Result<TrainingItem, CallerError> {
        let item = self.items.get(index).ok_or_else(|| format!("there are {}", self.items.len()))?;
        let tagged = |turn: &TrainingTurn| match self.default_tag {
            Some(tag) if TaskTag::split(&turn.question).is_none() => {
                TrainingTurn { question: format!("{tag} {}", turn.question), answer: turn.answer.clone() }
            }
            _ => turn.clone(),
        };
        Ok(TrainingItem {
            images: item.images.iter().map(|image| ImageId(self.first_image + image.0)).collect(),
            turns: item.turns.iter().map(tagged).collect(),
        })
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.fingerprint);
        hash.update(self.first_image.to_le_bytes());
        hash.update(self.default_tag.map_or("", TaskTag::as_str));
        hash.finalize().into()
    }
}

type Records = Vec<(String, Value)>;

fn lines(text: &[u8], wrong: &dyn Fn(&str, String) -> TrainError) -> Result<Records, TrainError> {
    let mut records = Vec::new();
    for (number, line) in (1_u64..).zip(text.split(|byte| *byte == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let place = format!("line {number}");
        let record = serde_json::from_slice(line).map_err(|error| wrong(&place, error.to_string()))?;
        records.push((place, record));
    }
    Ok(records)
}

fn array(text: &[u8], wrong: &dyn Fn(&str, String) -> TrainError) -> Result<Records, TrainError> {
    let values: Vec<Value> = serde_json::from_slice(text)
        .map_err(|error| wrong(&format!("line {}", error.line()), error.to_string()))?;
    Ok((1_u64..).zip(values).map(|(number, value)| (format!("record {number}"), value)).collect())
}
