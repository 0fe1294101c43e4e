//! The composed model.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::layers::{LayerNorm, Linear, cast};
use crate::{
    AttentionContext, AttentionMask, Labels, Llama, LoraConfig, MiniGptConfig, ModelError, Precision,
    VisionTower, masked_cross_entropy,
};

/// MiniGPT-v2: images become tokens of the language model, which answers in text.
///
/// ```text
/// pixels [b, 3, s, s] -> vision_tower [b, 1 + p, v] -> ln_vision, CLS dropped [b, p, v]
///   -> 4 neighbors side by side [b, p/4, 4v] -> projector [b, p/4, h] -> between prompt tokens
///   -> language_model [b, n, h] -> logits
/// ```
#[derive(Module, Debug)]
pub struct MiniGpt {
    /// EVA ViT, frozen in the published training.
    pub vision_tower: VisionTower,
    /// Layer norm after the tower: ones and zeros unless a checkpoint holds it (SPEC 3.4).
    pub ln_vision: LayerNorm,
    /// `[hidden, merge · width]` with bias, f32; the published `llama_proj`.
    pub projector: Linear,
    /// LLaMA with its adapters.
    pub language_model: Llama,
    #[module(skip)]
    config: MiniGptConfig,
}

/// A piece of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequencePart {
    /// Token ids.
    Tokens(Vec<u32>),
    /// All tokens of one image, by its index in the batch's images.
    Image(usize),
}

/// What the language model reads: text and images in order.
pub type Sequence = Vec<SequencePart>;

/// Where shorter rows of a batch are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// On the left with zeros, as in generation (SPEC 5.1).
    Left,
    /// On the right with the embedding of this token, as in training (SPEC 4.1).
    Right(u32),
}

impl MiniGpt {
    /// A model of zeros that takes memory only when loaded or used.
    ///
    /// # Errors
    /// [`ModelError::Config`] if no model can have these sizes.
    pub fn empty(config: &MiniGptConfig, precision: Precision, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let dtype = precision.frozen_dtype();
        let device = device.clone().without_autodiff();
        let (vision, llama) = (&config.vision, &config.llama);
        Ok(Self {
            vision_tower: VisionTower::empty(vision, dtype, &device),
            ln_vision: LayerNorm::empty(vision.width, vision.ln_vision_eps, &device),
            projector: Linear::empty(config.merged_width(), llama.hidden_size, true, DType::F32, &device),
            language_model: Llama::empty(llama, config.lora.as_ref(), dtype, &device),
            config: config.clone(),
        })
    }

    /// The sizes that this model was built with.
    #[must_use]
    pub fn config(&self) -> &MiniGptConfig {
        &self.config
    }

    /// The device without autodiff.
    #[must_use]
    pub fn device(&self) -> Device {
        self.language_model.device()
    }

    /// Pixels to vision features: everything before the projector. The tower is frozen, so these
    /// can be computed once and kept.
    ///
    /// # Shapes
    /// - `pixels`: `[batch, 3, image_size, image_size]`, normalized
    /// - returns `[batch, n_image_tokens, merge · width]`, f32
    ///
    /// # Errors
    /// [`ModelError::Input`] for an image of another size.
    ///
    /// # Source
    /// SPEC 3.1, 3.4: norm, then CLS is dropped, then four neighbors are joined.
    pub fn vision_features(&self, pixels: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        let size = self.config.vision.image_size;
        let dims = pixels.dims();
        if dims[1..] != [3, size, size] {
            return Err(ModelError::Input {
                what: "pixels",
                got: format!("{dims:?}"),
                expected: format!("[batch, 3, {size}, {size}]"),
            });
        }
        Ok(self.merge_patches(self.vision_tokens(pixels)))
    }

    /// Pixels to the tokens after `ln_vision`, CLS first.
    ///
    /// # Shapes
    /// - `pixels`: `[batch, 3, image_size, image_size]`
    /// - returns `[batch, 1 + n_patches, width]`, f32
    ///
    /// # Panics
    /// If the image has another size than the model's.
    pub fn vision_tokens(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.ln_vision.forward(self.vision_tower.forward(pixels))
    }

    /// Drops CLS and joins neighboring patches.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, 1 + n_patches, width]`
    /// - returns `[batch, n_patches / merge, merge · width]`
    ///
    /// # Panics
    /// If the patches are not a multiple of the merge.
    ///
    /// # Source
    /// SPEC 3.4: a plain row-major reshape; four horizontal neighbors at 448 px.
    pub fn merge_patches(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, n_tokens, width] = tokens.dims();
        let (n_patches, merge) = (n_tokens - 1, self.config.merge);
        tokens.narrow(1, 1, n_patches).reshape([batch, n_patches / merge, merge * width])
    }

    /// Vision features to tokens of the language model.
    ///
    /// # Shapes
    /// - `features`: `[batch, n_image_tokens, merge · width]`
    /// - returns `[batch, n_image_tokens, hidden]`, f32
    ///
    /// # Panics
    /// If the features have another width.
    pub fn project(&self, features: Tensor<3>) -> Tensor<3> {
        self.projector.forward(features)
    }

    /// Puts the embeddings of text and images side by side and pads the rows to one length.
    ///
    /// # Shapes
    /// - `images`: `[n_images, n_image_tokens, hidden]` from [`MiniGpt::project`]
    /// - returns `[batch, n, hidden]` in the language model's type, and which positions are real
    ///
    /// # Errors
    /// [`ModelError::Input`] for no rows, an empty row, an image that is not there or a token
    /// outside the vocabulary; [`ModelError::TooLong`] past the model's positions.
    pub fn assemble(
        &self,
        rows: &[Sequence],
        images: Option<&Tensor<3>>,
        padding: Padding,
    ) -> Result<(Tensor<3>, AttentionMask), ModelError> {
        let n_image_tokens = images.map_or(0, |images| images.dims()[1]);
        let n_images = images.map_or(0, |images| images.dims()[0]);
        let mut lengths = Vec::with_capacity(rows.len());
        for row in rows {
            let mut length = 0;
            for part in row {
                length += match part {
                    SequencePart::Tokens(ids) => ids.len(),
                    SequencePart::Image(index) if *index < n_images => n_image_tokens,
                    SequencePart::Image(index) => {
                        return Err(input_error("image of a sequence", index, format!("below {n_images}")));
                    }
                };
            }
            if length == 0 {
                return Err(input_error("sequence", "empty", "at least one position".to_owned()));
            }
            lengths.push(length);
        }
        let Some(longest) = lengths.iter().copied().max() else {
            return Err(input_error("batch", "no sequence", "at least one".to_owned()));
        };
        let limit = self.config.llama.max_positions;
        if longest > limit {
            return Err(ModelError::TooLong { got: longest, limit });
        }
        let mut embedded = Vec::with_capacity(rows.len());
        let mut mask = Vec::with_capacity(rows.len());
        for (row, length) in rows.iter().zip(lengths) {
            let missing = longest - length;
            embedded.push(self.embed_row(row, images, missing, padding)?);
            let real = std::iter::repeat_n(true, length);
            let padded = std::iter::repeat_n(false, missing);
            mask.push(match padding {
                Padding::Left => padded.chain(real).collect(),
                Padding::Right(_) => real.chain(padded).collect(),
            });
        }
        Ok((Tensor::stack(embedded, 0), AttentionMask::new(mask)))
    }

    fn embed_row(
        &self,
        row: &Sequence,
        images: Option<&Tensor<3>>,
        missing: usize,
        padding: Padding,
    ) -> Result<Tensor<2>, ModelError> {
        let llama = &self.language_model;
        let dtype = llama.dtype();
        let mut parts = Vec::with_capacity(row.len() + 1);
        for part in row {
            match part {
                SequencePart::Tokens(ids) if ids.is_empty() => {}
                SequencePart::Tokens(ids) => parts.push(llama.embed(ids)?),
                SequencePart::Image(index) => {
                    let images = images.expect("checked by the caller");
                    parts.push(cast(images.clone().narrow(0, *index, 1).squeeze_dim(0), dtype));
                }
            }
        }
        if missing > 0 {
            match padding {
                Padding::Left => {
                    let width = self.config.llama.hidden_size;
                    parts.insert(0, Tensor::zeros([missing, width], (&llama.device(), dtype)));
                }
                Padding::Right(token) => parts.push(llama.embed(&vec![token; missing])?),
            }
        }
        Ok(Tensor::cat(parts, 0))
    }

    /// Mean cross-entropy of the labels, given the hidden states before the final norm. The head
    /// runs at predicting positions only.
    ///
    /// # Shapes
    /// - `hidden`: `[batch, n, hidden]` from [`Llama::blocks`]
    /// - returns `[1]`, f32
    ///
    /// # Errors
    /// [`ModelError::Input`] if the labels do not fit the batch or hold no target.
    pub fn loss(&self, hidden: Tensor<3>, labels: &Labels) -> Result<Tensor<1>, ModelError> {
        let [batch, n, width] = hidden.dims();
        let (indices, targets) = labels.flat_targets(batch, n, self.config.llama.vocab_size)?;
        let index = Tensor::<1, burn::tensor::Int>::from_data(indices.as_slice(), &self.device());
        let predicting = hidden.reshape([batch * n, width]).select(0, index); // [targets, hidden]
        let llama = &self.language_model;
        Ok(masked_cross_entropy(llama.head(llama.final_norm(predicting)), &targets))
    }

    /// As [`Llama::context`].
    ///
    /// # Errors
    /// As [`Llama::context`].
    pub fn context(&self, mask: &AttentionMask) -> Result<AttentionContext, ModelError> {
        self.language_model.context(mask)
    }

    /// This model with empty adapters where `lora` has them, in place of those it has.
    pub(crate) fn adapted(mut self, lora: &LoraConfig) -> Self {
        let device = self.device().without_autodiff();
        self.language_model = self.language_model.adapted(lora, &device);
        self.config.lora = Some(lora.clone());
        self
    }

    /// This model with every adapter merged into its weight.
    #[must_use]
    pub fn merge_adapters(mut self) -> Self {
        self.language_model = self.language_model.merge();
        self.config.lora = None;
        self
    }
}

fn input_error(what: &'static str, got: impl ToString, expected: String) -> ModelError {
    ModelError::Input { what, got: got.to_string(), expected }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    /// SPEC 3.4: after CLS, 8 tokens of width 2 valued 0 to 15 become 0..7 and 8..15.
    #[test]
    fn four_neighbors_are_joined_in_a_row() {
        let device = Device::flex();
        let model = MiniGpt::empty(&MiniGptConfig::nano(), Precision::F32, &device).unwrap();
        let tokens: Vec<f32> = [-1.0, -1.0].into_iter().chain((0..16_u8).map(f32::from)).collect();
        let tokens = Tensor::<3>::from_data(TensorData::new(tokens, [1, 9, 2]), &device);
        let merged = model.merge_patches(tokens);
        assert_eq!(merged.dims(), [1, 2, 8]);
        let expected: Vec<f32> = (0..16_u8).map(f32::from).collect();
        assert_eq!(merged.into_data().try_into_vec::<f32>().unwrap(), expected);
    }

    #[test]
    fn rows_that_cannot_be_assembled_are_errors() {
        let mut config = MiniGptConfig::nano();
        config.llama.max_positions = 8;
        let model = MiniGpt::empty(&config, Precision::F32, &Device::flex()).unwrap();
        let check = |rows: &[Sequence]| model.assemble(rows, None, Padding::Left).unwrap_err().to_string();
        assert!(check(&[]).contains("no sequence"));
        assert!(check(&[vec![]]).contains("empty"));
        assert!(check(&[vec![SequencePart::Image(0)]]).contains("image of a sequence"));
        assert!(check(&[vec![SequencePart::Tokens(vec![1024])]]).contains("below 1024"));
        assert!(check(&[vec![SequencePart::Tokens(vec![1; 9])]]).contains("9 positions"));
        let pixels = Tensor::<4>::zeros([1, 3, 98, 112], &Device::flex());
        assert!(model.vision_features(pixels).unwrap_err().to_string().contains("[1, 3, 98, 112]"));
    }
}
