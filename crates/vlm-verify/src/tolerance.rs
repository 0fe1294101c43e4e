//! How far values may be from the golden ones.

use vlm_model::Precision;

/// A kind of value, with the largest difference allowed.
///
/// In f32 these are the fixtures' own: several times what the reference libraries' f32 differs
/// from exact arithmetic. In bf16 and f16 the frozen weights and the activations are rounded to 8
/// and 11 bits; what is allowed then only tells a wrong model from a rounded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// Token ids, labels, masks, configurations.
    Exact,
    /// Logits of the language model alone.
    LlamaLogits,
    /// Logits of the composed model and of adapted models.
    ComposedLogits,
    /// Cross-entropy.
    Loss,
    /// Vision tokens and hidden states.
    Hidden,
    /// Attention probabilities, cached keys and values.
    Attention,
    /// A resized position embedding.
    PositionEmbedding,
    /// Projected image tokens and assembled embeddings.
    Embeddings,
    /// A gradient, as a share of the tensor's largest entry.
    GradientShare,
    /// Losses of a training run.
    TrainingLoss,
    /// Weights after one optimizer step.
    WeightsAfterOne,
    /// Weights after two optimizer steps.
    WeightsAfterTwo,
    /// Weights after more optimizer steps.
    WeightsAfterMany,
    /// `AdamW`'s moments, as a share of the tensor's largest entry.
    MomentShare,
    /// Weights with their adapters merged.
    MergedWeight,
    /// Learning rates.
    LearningRate,
    /// A checkpoint in half precision, as a share of each value.
    HalfShare,
}

impl Tolerance {
    /// The largest difference allowed.
    #[must_use]
    pub fn limit(self, precision: Precision) -> f64 {
        let [f32, f16, bf16] = match self {
            Self::Exact => [0.0; 3],
            Self::LlamaLogits => [5e-5, 0.03, 0.25],
            Self::ComposedLogits => [1e-4, 0.05, 0.4],
            Self::Loss => [1e-5, 5e-3, 0.05],
            Self::Hidden => [3e-5, 0.03, 0.25],
            Self::Attention => [1e-5, 0.01, 0.08],
            Self::PositionEmbedding => [1e-5; 3],
            Self::Embeddings => [2e-6, 2e-3, 0.02],
            Self::GradientShare => [5e-5, 0.06, 0.4],
            Self::TrainingLoss => [5e-5, 0.02, 0.15],
            Self::WeightsAfterOne => [1e-6, 1e-5, 1e-5],
            Self::WeightsAfterTwo => [5e-6, 5e-4, 5e-4],
            Self::WeightsAfterMany => [2e-5, 5e-3, 2e-2],
            Self::MomentShare => [5e-4, 0.25, 0.8],
            Self::MergedWeight => [1e-6, 4e-3, 0.03],
            Self::LearningRate => [1e-15; 3],
            // half of the last of f16's 11 bits
            Self::HalfShare => [5e-4; 3],
        };
        match precision {
            Precision::F32 => f32,
            Precision::F16 => f16,
            Precision::Bf16 => bf16,
        }
    }

    /// Whether the difference is taken as a share of the golden tensor's largest entry.
    pub(crate) fn is_share(self) -> bool {
        matches!(self, Self::GradientShare | Self::MomentShare)
    }
}
