//! Conversations that a stage learns beside its own samples.

use std::path::Path;

use vlm_train::{ConversationLimits, ConversationSource};

use crate::CascadeError;
use crate::config::ConversationData;
use crate::images::{ImageFit, ImageTable};

/// A file of conversations, its images in the run's table, and its share of the draws.
#[derive(Debug, Clone)]
pub struct Conversations {
    pub(crate) source: ConversationSource,
    pub(crate) share: f64,
}

impl Conversations {
    /// Reads a file and puts its images into the table; they are not opened.
    pub(super) fn read(
        data: &ConversationData,
        fit: ImageFit,
        table: &mut ImageTable,
    ) -> Result<Self, CascadeError> {
        let name = data.file.file_stem().unwrap_or_default().to_string_lossy();
        let source = ConversationSource::read(name, &data.file, &ConversationLimits::default())?;
        let beside = data.file.parent().unwrap_or(Path::new(""));
        let folder = data.images.as_deref().unwrap_or(beside);
        let first = table.len() as u64;
        for (_, name) in source.images() {
            table.add_apart(&folder.join(name), fit);
        }
        Ok(Self { source: source.with_first_image(first), share: data.share })
    }
}
