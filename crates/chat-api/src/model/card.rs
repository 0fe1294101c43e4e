//! What a model says about itself.

use ct_slices::pixels::HuWindow;
use vlm_prompt::BoxFormat;

/// What a model says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// Its name in the API.
    pub id: String,
    /// One sentence for people: what it is and how good it is known to be.
    pub description: String,
    /// When it was made, in seconds since 1970; 0 where that is not known.
    pub created_unix_s: u64,
    /// How it writes boxes.
    pub box_format: BoxFormat,
    /// The window that slices are rendered with for it.
    pub window: HuWindow,
    /// Most images of a conversation.
    pub max_images: usize,
    /// Most tokens of an answer.
    pub max_answer_tokens: usize,
    /// Most requests in a batch, at least 1.
    pub max_batch: usize,
    /// Temperature of requests that name none; 0 takes the likeliest token.
    pub default_temperature: f32,
    /// Whether it can look at whole studies.
    pub runs_studies: bool,
    /// What it was taught to find, for the buttons of the page, such as `pancreas`.
    pub structures: Vec<String>,
}

impl ModelCard {
    /// A card with one image a conversation, hundredths as boxes, the pancreas window, 512 tokens an answer
    /// and no study runs.
    #[must_use]
    pub fn new(id: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            description: description.into(),
            created_unix_s: 0,
            box_format: BoxFormat::Percent100,
            window: HuWindow::PANCREAS,
            max_images: 1,
            max_answer_tokens: 512,
            max_batch: 1,
            default_temperature: 0.0,
            runs_studies: false,
            structures: vec!["pancreas".to_owned()],
        }
    }
}
