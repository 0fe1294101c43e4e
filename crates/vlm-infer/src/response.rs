//! What is answered.

use serde::{Deserialize, Serialize};
use vlm_model::{ChoiceDistribution, StopReason};
use vlm_prompt::{Answer, PixelBox};

/// What every response carries.
pub const RESEARCH_NOTE: &str = "research use only, not for diagnosis";

/// An answer, what it rests on and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Response {
    /// [`RESEARCH_NOTE`].
    pub note: String,
    /// The answer's text.
    pub text: String,
    /// The answer as it was asked for.
    pub answer: Answer,
    /// The box in pixels of the image it belongs to; none for the zero box, which says that
    /// nothing is there.
    pub box_px: Option<PixelBox>,
    /// The box of the mean values, finer than the grid; of grounded boxes, where the means are in order.
    pub mean_box_px: Option<PixelBox>,
    /// Columns and rows of the image that the box belongs to.
    pub image_size_px: Option<[u32; 2]>,
    /// Probability among the well-formed answers; grounded answers only.
    pub probability: Option<f64>,
    /// Probability that the unconstrained model gives the first `n_scored` tokens.
    pub free_probability: f64,
    /// Tokens that `free_probability` covers.
    pub n_scored: usize,
    /// Probabilities of the values of each choice; grounded answers only.
    pub distributions: Vec<ChoiceDistribution>,
    /// Why a free answer ended.
    pub stop_reason: Option<StopReason>,
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// Positions of the prompt, those of images included.
    pub n_prompt_tokens: usize,
    /// New tokens.
    pub n_new_tokens: usize,
    /// Calls of the language model.
    pub n_model_steps: usize,
    /// Where the time went.
    pub timings: Timings,
}

/// Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Reading, resizing and normalizing images.
    pub images_s: f64,
    /// The vision tower; nothing where all images were seen before.
    pub vision_s: f64,
    /// The language model.
    pub language_s: f64,
    /// Everything.
    pub total_s: f64,
}

/// The answer's text as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEvent<'a> {
    /// More text.
    Append(&'a str),
    /// All text so far was not yet the answer; it begins with this. Only where the model writes
    /// markers of the prompt itself.
    Replace(&'a str),
}
