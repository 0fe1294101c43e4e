//! The whole image encoder.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use super::StemConv;
use super::VisionBlock;
use crate::VisionConfig;
use crate::layers::{cast, empty_param};

/// Cuts an image into square patches and maps each to a token.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// `[width, channels, patch, patch]`, a convolution whose stride is its size: 3 channels and
    /// the patch size, or what the stem leaves of them.
    pub weight: Param<Tensor<4>>,
    /// `[width]`
    pub bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// # Shapes
    /// - `pixels`: `[batch, channels, height, width_px]`, multiples of the patch
    /// - returns `[batch, n_patches, width]`, patches in raster order, f32
    ///
    /// # Panics
    /// If the image is not a multiple of the patch or has other channels.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let weight = self.weight.val();
        let [width, channels, patch, _] = weight.dims();
        let [batch, got, height, width_px] = pixels.dims();
        assert_eq!(got, channels, "image channels");
        assert!(height.is_multiple_of(patch) && width_px.is_multiple_of(patch), "{height}x{width_px} px");
        let (rows, cols) = (height / patch, width_px / patch);
        // A convolution whose stride is its size is a matrix product over cut-out patches.
        let patches = cast(pixels, weight.dtype())
            .reshape([batch, channels, rows, patch, cols, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * cols, channels * patch * patch]);
        let weight = weight.reshape([width, channels * patch * patch]);
        let tokens = fused_ops::linear(patches, weight, Some(self.bias.val()));
        cast(tokens, DType::F32)
    }
}

/// The EVA vision transformer, frozen in training: pixels in, all tokens out, CLS first.
///
/// There is no final norm, pooling or head (SPEC 3.2); `ln_vision` belongs to
/// [`MiniGpt`](crate::MiniGpt).
#[derive(Module, Debug)]
pub struct VisionTower {
    /// Convolutions before the patches; none in the published encoder.
    pub stem: Vec<StemConv>,
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// `[1, 1, width]`
    pub cls_token: Param<Tensor<3>>,
    /// `[1, 1 + n_patches, width]`
    pub pos_embed: Param<Tensor<3>>,
    /// The blocks that are run.
    pub blocks: Vec<VisionBlock>,
}

impl VisionTower {
    /// An encoder of zeros that takes memory only when loaded or used.
    ///
    /// # Panics
    /// If `config` does not pass [`VisionConfig::validate`].
    #[must_use]
    pub fn empty(config: &VisionConfig, dtype: DType, device: &Device) -> Self {
        config.validate().expect("a checked configuration");
        let (width, [channels, patch, _]) = (config.width, config.patch_shape());
        let inputs = std::iter::once(3).chain(config.stem_channels.iter().copied());
        let stem = inputs.zip(&config.stem_channels);
        Self {
            stem: stem.map(|(from, to)| StemConv::empty(from, *to, dtype, device)).collect(),
            patch_embed: PatchEmbed {
                weight: empty_param([width, channels, patch, patch], dtype, device),
                bias: empty_param([width], dtype, device),
            },
            cls_token: empty_param([1, 1, width], DType::F32, device),
            pos_embed: empty_param([1, 1 + config.n_patches(), width], DType::F32, device),
            blocks: (0..config.depth).map(|_| VisionBlock::empty(config, dtype, device)).collect(),
        }
    }

    /// Pixels to the tokens after the last block.
    ///
    /// # Shapes
    /// - `pixels`: `[batch, 3, image_size, image_size]`, normalized
    /// - returns `[batch, 1 + n_patches, width]`, CLS first, f32
    ///
    /// # Panics
    /// If the image has another size than the model's.
    ///
    /// # Source
    /// SPEC 3.2.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let device = pixels.device();
        let [batch, ..] = pixels.dims();
        let part = self.images_at_once(&device);
        let run = |pixels| self.blocks.iter().fold(self.embed(pixels), |x, block| block.forward(x));
        fused_ops::in_pool(&device, || {
            if batch <= part {
                return run(pixels);
            }
            let parts = (0..batch).step_by(part);
            let parts = parts.map(|first| run(pixels.clone().narrow(0, first, part.min(batch - first))));
            Tensor::cat(parts.collect(), 0)
        })
    }

    /// Images that go through the blocks together: all where something learns or on a GPU; on the
    /// CPU as many as keep the activations in memory that is used again and not new at every step.
    fn images_at_once(&self, device: &Device) -> usize {
        /// Tokens of so many images.
        const TOKENS: usize = 1024;
        let learns = self.cls_token.is_require_grad();
        let [_, n_tokens, _] = self.pos_embed.lazy_shape().dims();
        if learns || !fused_ops::is_cpu(device) { usize::MAX } else { (TOKENS / n_tokens).max(1) }
    }

    /// This encoder with its weights in the order of memory that suits an image's many tokens.
    #[must_use]
    pub(crate) fn for_many_rows(mut self) -> Self {
        self.blocks = self.blocks.into_iter().map(VisionBlock::for_many_rows).collect();
        self
    }

    /// The tokens before the first block: patches after CLS, positions added.
    ///
    /// # Shapes
    /// As [`VisionTower::forward`].
    ///
    /// # Panics
    /// If the image has another size than the model's.
    pub fn embed(&self, pixels: Tensor<4>) -> Tensor<3> {
        let map = self.stem.iter().fold(pixels, |map, convolution| convolution.forward(map));
        let patches = self.patch_embed.forward(map);
        let [batch, n_patches, width] = patches.dims();
        let positions = self.pos_embed.val();
        assert_eq!(positions.dims()[1], 1 + n_patches, "positions of the model and patches of the image");
        let cls = cast(self.cls_token.val(), DType::F32).expand([batch, 1, width]);
        Tensor::cat(vec![cls, patches], 1) + cast(positions, DType::F32)
    }
}
